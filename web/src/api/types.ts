import type { components } from './schema';

type Schemas = components['schemas'];

export type Account = Schemas['Account'];
export type ArrayPeer = Schemas['ArrayPeerView'];
export type AuditEntry = Schemas['AuditEntry'];
export type ApiToken = Schemas['ApiToken'];
export type Ban = Schemas['Ban'];
export type CallPage = Schemas['CallPage'];
export type CallView = Schemas['CallView'];
export type Carrier = Schemas['Carrier'];
export type Cdr = Schemas['Cdr'];
export type CdrExport = Schemas['CdrExport'];
export type CdrLegMedia = Schemas['CdrLegMedia'];
export type Certificate = Schemas['Certificate'];
export type Capacity = Schemas['Capacity'];
export type CapacityMember = Schemas['Member'];
export type Cluster = Schemas['Cluster'];
export type ClusterHealth = Schemas['ClusterHealth'];
export type Customer = Schemas['Customer'];
export type Device = Schemas['Device'];
export type DispatcherReport = Schemas['DispatcherReport'];
export type DomainCheck = Schemas['DomainCheck'];
export type DraftDetail = Schemas['DraftDetail'];
export type DraftView = Schemas['DraftView'];
export type Gateway = Schemas['Gateway'];
export type GatewayHealth = Schemas['GatewayHealth'];
export type HistoryView = Schemas['HistoryView'];
export type Incident = Schemas['Incident'];
export type Ladder = Schemas['LadderView'];
export type Latency = Schemas['Latency'];
export type LimitSpec = Schemas['LimitSpec'];
export type LimitUsage = Schemas['LimitUsage'];
export type ListenerStatus = Schemas['ListenerStatus'];
export type LogLevel = Schemas['LogLevel'];
export type LogLine = Schemas['LogLine'];
export type MediaReport = Schemas['MediaReport'];
export type MediaServer = Schemas['MediaServer'];
export type MediaServerHealth = Schemas['MediaServerHealth'];
export type OpenSession = Schemas['OpenSession'];
export type Person = Schemas['Person'];
export type PhoneNumber = Schemas['Number'];
export type PlatformEvent = Schemas['PlatformEvent'];
export type PosturePart = Schemas['PartView'];
export type PresentedCertificate = Schemas['PresentedCertificate'];
export type Problem = Schemas['Problem'];
export type Readiness = Schemas['Readiness'];
export type Recording = Schemas['Recording'];
export type RegistrationView = Schemas['RegistrationView'];
export type Replay = Schemas['ReplayView'];
export type Role = Schemas['Role'];
export type Route = Schemas['Route'];
export type NewJoinToken = Schemas['NewJoinToken'];
export type Server = Schemas['Server'];
export type ServerHealth = Schemas['ServerHealth'];
export type ServerRole = Schemas['ServerRole'];
export type ServerState = Schemas['ServerState'];
export type Rung = Schemas['Rung'];
export type SessionView = Schemas['SessionView'];
export type Settings = Schemas['Settings'];
export type Simulation = Schemas['Simulation'];
export type TargetReport = Schemas['TargetReport'];
export type DispatchTarget = Schemas['DispatchTarget'];
export type Task = Schemas['Task'];
export type TraceMessage = Schemas['TraceMessage'];
export type TracePage = Schemas['TracePage'];
export type UnheardServer = Schemas['UnheardServer'];
export type User = Schemas['User'];
export type Version = Schemas['Version'];
export type Zone = Schemas['Zone'];
export type ZoneHealth = Schemas['ZoneHealth'];
export type ZoneLatency = Schemas['ZoneLatency'];

/** Records that are all listed, made, changed and deleted alike, by the noun of their path. */
export interface RecordOf {
  accounts: Account;
  users: User;
  devices: Device;
  numbers: PhoneNumber;
  customers: Customer;
  carriers: Carrier;
  gateways: Gateway;
  routes: Route;
  'media-servers': MediaServer;
  people: Person;
  servers: Server;
  certificates: Certificate;
  zones: Zone;
  clusters: Cluster;
}

export type Noun = keyof RecordOf;

/** One page of a list. */
export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}
