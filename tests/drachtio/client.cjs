// Carries out what is asked on standard input, one JSON object a line, with drachtio's client of ng,
// and says what came back.
//
// Arguments: udp, tcp or ws; the host; the port.
'use strict';

const readline = require('node:readline');
const { Client, TcpClient, WsClient } = require('rtpengine-client');

const [transport, host, port] = process.argv.slice(2);
const timeout = 20000;
const server = { host, port: Number(port) };

const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

function connect() {
    switch (transport) {
        case 'udp':
            return new Client({ timeout });
        case 'tcp':
            return new TcpClient({ hostport: `${host}:${port}`, timeout });
        default:
            return new WsClient({ url: `ws://${host}:${port}`, timeout });
    }
}

const client = connect();

// Over UDP each request says where it goes.
const ask = (verb, options) =>
    transport === 'udp' ? client[verb](server, options) : client[verb](options);

client.on('error', (error) => say({ kind: 'error', why: String(error) }));
client.on('listening', () => say({ kind: 'ready' }));

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
    const { number, verb, options } = JSON.parse(line);
    try {
        say({ kind: 'reply', number, reply: await ask(verb, options) });
    } catch (error) {
        say({ kind: 'reply', number, failure: String(error) });
    }
}).on('close', () => process.exit(0));
