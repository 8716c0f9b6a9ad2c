// A phone in a headless Chromium: JsSIP on the page, driven by lines of JSON.
//
//   node phone.mjs '{"url": ..., "uri": ..., "password": ..., "tone": WAV, "directory": ...}'
//
// Commands come on standard input, one object a line: {"do": "call", "to": URI},
// {"do": "answer"}, {"do": "show"}, {"do": "forget gaps"}, {"do": "gap"}, {"do": "hang up"}. Events
// go to standard output the same way, each with a "kind"; "tone" says what frequency is heard, each
// time it changes; "media" that the first packet has come; "forgotten" that gaps count anew, and
// "gap", when packets come after one asked for it, for how long none came at worst since then;
// "frames" how many of a picture were decoded. With "trickle" no description has candidates: they follow by INFO (RFC 8840) once
// the call is answered. With "video" sound and picture share one transport and have no other.
// "registered" has the URIs that lead to this phone alone (RFC 5627), as the registrar gave them.
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { chromium } from 'playwright-core';

const options = JSON.parse(process.argv[2]);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const library = buildSync({
    entryPoints: [fileURLToPath(import.meta.resolve('jssip'))],
    bundle: true,
    format: 'iife',
    globalName: 'JsSIP',
    write: false,
    logLevel: 'error',
}).outputFiles[0].text;

const context = await chromium.launchPersistentContext(options.directory, {
    executablePath: '/usr/bin/chromium',
    headless: true,
    ignoreHTTPSErrors: true,
    permissions: ['microphone', 'camera', 'local-network-access'],
    args: [
        '--no-sandbox',
        '--ignore-certificate-errors',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
        '--autoplay-policy=no-user-gesture-required',
        '--use-fake-ui-for-media-stream',
        '--use-fake-device-for-media-stream',
        `--use-file-for-fake-audio-capture=${options.tone}`,
    ],
});
const page = await context.newPage();
// A microphone is given to a page of a secure origin only; this one is.
await page.route('http://localhost/', (route) =>
    route.fulfill({ contentType: 'text/html', body: '<title>phone</title>' }));
await page.goto('http://localhost/');
await page.exposeFunction('say', say);
page.on('pageerror', (error) => say({ kind: 'error', why: String(error) }));
await page.addScriptTag({ content: library });
await page.evaluate(phone, options);

for await (const line of createInterface({ input: process.stdin })) {
    await page.evaluate((command) => window.handle(command), JSON.parse(line));
}
await context.close();

// Runs on the page.
function phone({ url, uri, password, trickle, video }) {
    const camera = { width: 320, height: 240, frameRate: 15 };
    const media = {
        mediaConstraints: { audio: true, video: video ? camera : false },
        pcConfig: video ? { bundlePolicy: 'max-bundle' } : {},
    };
    const agent = new JsSIP.UA({
        sockets: [new JsSIP.WebSocketInterface(url)],
        uri,
        password,
        register: true,
        session_timers: false,
    });
    let session = null;
    // Packets that must come after the question before the answer: those on their way from where
    // media came before are fewer.
    const PACKETS_AGAIN = 10;
    const gap = { longest: 0, asked: false, from: null };

    agent.on('registered', () => window.say({
        kind: 'registered',
        public_gruu: agent.contact.pub_gruu,
        temporary_gruu: agent.contact.temp_gruu,
    }));
    agent.on('registrationFailed', ({ cause }) => window.say({ kind: 'refused', why: cause }));
    agent.on('newRTCSession', (event) => {
        session = event.session;
        session.on('peerconnection', ({ peerconnection }) => listen(peerconnection));
        if (session.connection) {
            listen(session.connection);
        }
        session.on('confirmed', () => window.say({ kind: 'established' }));
        if (trickle) {
            holdBack(session);
        }
        session.on('ended', ({ cause }) => window.say({ kind: 'closed', why: cause }));
        session.on('failed', ({ cause }) => window.say({ kind: 'closed', why: cause }));
        if (event.originator === 'remote') {
            window.say({ kind: 'incoming' });
        }
    });

    // Times what comes: packets of any medium, and frames of a picture.
    function time(connection) {
        let [packets, last, frames] = [0, 0, 0];
        setInterval(async () => {
            const stats = [...(await connection.getStats()).values()];
            const decoded = stats
                .filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'video')
                .reduce((sum, { framesDecoded }) => sum + framesDecoded, 0);
            if (decoded > frames) {
                frames = decoded;
                window.say({ kind: 'frames', count: frames });
            }
            const received = stats
                .filter(({ type }) => type === 'inbound-rtp')
                .reduce((sum, { packetsReceived }) => sum + packetsReceived, 0);
            if (received === packets) {
                return;
            }
            const now = performance.now();
            if (packets === 0) {
                window.say({ kind: 'media' });
            } else {
                gap.longest = Math.max(gap.longest, now - last);
            }
            [packets, last] = [received, now];
            if (gap.asked) {
                gap.from ??= received;
                if (received >= gap.from + PACKETS_AGAIN) {
                    window.say({ kind: 'gap', ms: Math.round(gap.longest) });
                    Object.assign(gap, { asked: false, from: null });
                }
            }
        }, 20);
    }

    // Takes the candidates out of what the session says, and sends them after the answer.
    function holdBack(session) {
        const held = [];
        session.on('sdp', (description) => {
            if (description.originator === 'local') {
                const lines = description.sdp.split('\r\n');
                const isCandidate = (line) =>
                    line.startsWith('a=candidate:') || line === 'a=end-of-candidates';
                held.push(...lines.filter((line) => /^a=(ice-ufrag|mid|candidate):/.test(line)));
                description.sdp = lines.filter((line) => !isCandidate(line)).join('\r\n');
            }
        });
        session.on('confirmed', () => {
            const [ufrag] = held.filter((line) => line.startsWith('a=ice-ufrag:'));
            const rest = held.filter((line) => line !== ufrag);
            const fragment = [ufrag, 'm=audio 9 RTP/AVP 0', ...rest, 'a=end-of-candidates', ''];
            const count = rest.filter((line) => line.startsWith('a=candidate:')).length;
            session.sendRequest('INFO', {
                body: fragment.join('\r\n'),
                extraHeaders: [
                    'Info-Package: trickle-ice',
                    'Content-Type: application/trickle-ice-sdpfrag',
                ],
                eventHandlers: {
                    onSuccessResponse: () => window.say({ kind: 'trickled', count }),
                    onErrorResponse: ({ status_code: status }) =>
                        window.say({ kind: 'error', why: `INFO: ${status}` }),
                },
            });
        });
    }

    // Says which frequency is the loudest, each time it changes.
    function listen(connection) {
        connection.addEventListener('connectionstatechange', () =>
            window.say({ kind: 'connection', state: connection.connectionState }));
        time(connection);
        connection.addEventListener('track', ({ track }) => {
            const stream = new MediaStream([track]);
            if (track.kind === 'video') {
                const picture = document.createElement('video');
                picture.srcObject = stream;
                picture.muted = true;
                document.body.append(picture);
                picture.play();
                return;
            }
            // Without an element nothing flows.
            const element = new Audio();
            element.srcObject = stream;
            element.muted = true;
            element.play();
            const audio = new AudioContext();
            const analyser = new AnalyserNode(audio, { fftSize: 8192 });
            audio.createMediaStreamSource(stream).connect(analyser);
            const bins = new Float32Array(analyser.frequencyBinCount);
            let last = 0;
            setInterval(() => {
                analyser.getFloatFrequencyData(bins);
                let loudest = 0;
                bins.forEach((level, bin) => {
                    loudest = level > bins[loudest] ? bin : loudest;
                });
                const hz = Math.round((loudest * audio.sampleRate) / analyser.fftSize);
                if (bins[loudest] > -50 && Math.abs(hz - last) > 10) {
                    last = hz;
                    window.say({ kind: 'tone', hz });
                }
            }, 100);
        });
    }

    window.handle = (command) => {
        switch (command.do) {
            case 'call':
                agent.call(command.to, media);
                break;
            case 'answer':
                session.answer(media);
                break;
            case 'show':
                navigator.mediaDevices.getUserMedia({ video: camera }).then((stream) => {
                    session.connection.addTrack(stream.getTracks()[0], stream);
                    session.renegotiate();
                });
                break;
            case 'forget gaps':
                gap.longest = 0;
                window.say({ kind: 'forgotten' });
                break;
            case 'gap':
                gap.asked = true;
                break;
            case 'hang up':
                session.terminate();
                break;
            default:
                window.say({ kind: 'error', why: `unknown command ${command.do}` });
        }
    };
    agent.start();
}
