PRAGMA application_id = 2003321451;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE address (
    domain TEXT NOT NULL, address BLOB NOT NULL,
    holder INTEGER, until INTEGER, released INTEGER, kept INTEGER,
    PRIMARY KEY (domain, address)) WITHOUT ROWID;
INSERT INTO "address" VALUES('host',X'040000000000000000000000000A4D0002',1,NULL,NULL,NULL);
INSERT INTO "address" VALUES('host',X'040000000000000000000000000A4D0003',NULL,1796066368,1883312023928837,NULL);
CREATE TABLE attachment (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    seq INTEGER NOT NULL, domain TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (network, container, ifname));
INSERT INTO "attachment" VALUES(1,'pods','corpus-1','eth0',1883312023928834,'host','{"id":{"network":"pods","container":"corpus-1","ifname":"eth0"},"state":"attached","created":1796066307,"netns":"/run/netns/wft-28023-7-c","cookie":1931,"domain":"host","addresses":["10.77.0.2"],"conf":{"network":{"cniVersion":"1.1.0","name":"pods","type":"wharfinger","driver":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"wharfinger","plugin":"told","ranges":[[{"subnet":"10.77.0.0/24"}]]}},"args":"","path":["/machine/bin"],"remote":true},"plugin":"told@sha256:fc41843fbd628dde447b8b8ed664fdfa64d28f6666bbb6abef593cf826d8800e","plan":{"format":1,"steps":[{"owner":"shared","kind":"link","link":{"place":"host","name":"cni0"},"type":"bridge","up":true},{"owner":"shared","kind":"sysctl","place":"host","key":"net/ipv6/conf/cni0/accept_ra","value":"0","optional":true},{"owner":"shared","kind":"sysctl","place":"host","key":"net/ipv4/ip_forward","value":"1","optional":false},{"owner":"shared","kind":"address","link":{"place":"host","name":"cni0"},"address":"10.77.0.1/24","nodad":false,"prefix_route":true,"others":"refuse"},{"owner":"attachment","kind":"link","link":{"place":"host","name":"vethc6a664bd"},"type":"veth","peer":{"link":{"place":"container","name":"eth0"},"mac":"06:f7:06:e2:b6:85"},"mac":"06:65:9f:0e:df:de","alias":"pods/corpus-1/eth0 host 10.77.0.2/24","port":{"bridge":"cni0","hairpin":false,"isolated":false},"up":true},{"owner":"attachment","kind":"sysctl","place":"host","key":"net/ipv6/conf/vethc6a664bd/accept_ra","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/accept_dad","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv4/conf/eth0/arp_notify","value":"1","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/ndisc_notify","value":"1","optional":true},{"owner":"attachment","kind":"address","link":{"place":"container","name":"eth0"},"address":"10.77.0.2/24","nodad":false,"prefix_route":true,"others":"keep"},{"owner":"attachment","kind":"up","link":{"place":"container","name":"eth0"}}]},"result":{"cniVersion":"1.1.0","interfaces":[{"name":"cni0","mac":"62:db:47:62:c7:ab","mtu":1500},{"name":"vethc6a664bd","mac":"06:65:9f:0e:df:de","mtu":1500},{"name":"eth0","mac":"06:f7:06:e2:b6:85","mtu":1500,"sandbox":"/run/netns/wft-28023-7-c"}],"ips":[{"interface":2,"address":"10.77.0.2/24","gateway":"10.77.0.1"}]}}');
CREATE TABLE cursor (
    domain TEXT NOT NULL, network TEXT NOT NULL, ranges BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, ranges)) WITHOUT ROWID;
INSERT INTO "cursor" VALUES('host','pods',X'040000000000000000000000000A4D0001040000000000000000000000000A4D00FE',X'040000000000000000000000000A4D0003');
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('lasting',0);
INSERT INTO "meta" VALUES('seq',1883312023928837);
INSERT INTO "meta" VALUES('synced',0);
CREATE TABLE pool (
    domain TEXT NOT NULL, network TEXT NOT NULL, position INTEGER NOT NULL,
    first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, position)) WITHOUT ROWID;
INSERT INTO "pool" VALUES('host','pods',0,X'040000000000000000000000000A4D0001',X'040000000000000000000000000A4D00FE');
CREATE TABLE port (
    protocol INTEGER NOT NULL, port INTEGER NOT NULL, address BLOB NOT NULL,
    holder INTEGER NOT NULL,
    PRIMARY KEY (protocol, port, address)) WITHOUT ROWID;
CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE remote (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL, own INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE TABLE run (
    domain TEXT NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, first)) WITHOUT ROWID;
INSERT INTO "run" VALUES('host',X'040000000000000000000000000A4D0002',X'040000000000000000000000000A4D0003');
CREATE TABLE store (
    owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, holder INTEGER,
    PRIMARY KEY (owner, key)) WITHOUT ROWID;
CREATE INDEX address_until ON address (until) WHERE until IS NOT NULL;
CREATE INDEX address_released ON address (domain, released)
    WHERE until IS NOT NULL AND kept IS NULL;
CREATE INDEX address_kept ON address (domain, kept)
    WHERE kept IS NOT NULL AND holder IS NULL;
CREATE INDEX identity_address ON identity (domain, address);
CREATE INDEX store_holder ON store (holder) WHERE holder IS NOT NULL;
CREATE INDEX remote_own ON remote (own) WHERE own;
COMMIT;
