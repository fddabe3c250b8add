PRAGMA application_id = 2003321451;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE address (
    domain TEXT NOT NULL, address BLOB NOT NULL,
    holder INTEGER, until INTEGER, released INTEGER, kept INTEGER,
    PRIMARY KEY (domain, address)) WITHOUT ROWID;
INSERT INTO "address" VALUES('bridge:cni0',X'040000000000000000000000000A4D010B',1,NULL,NULL,NULL);
CREATE TABLE attachment (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    seq INTEGER NOT NULL, domain TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (network, container, ifname));
INSERT INTO "attachment" VALUES(1,'pods','corpus-1','eth0',1883312018685955,'bridge:cni0','{"id":{"network":"pods","container":"corpus-1","ifname":"eth0"},"state":"attached","created":1796066302,"netns":"/machine/container","cookie":4242424242,"domain":"bridge:cni0","addresses":["10.77.1.11"],"conf":{"network":{"cniVersion":"1.1.0","name":"pods","type":"wharfinger","driver":"bridge","bridge":"cni0","isGateway":false,"ipam":{"type":"dhcp"}},"args":"","path":["/machine/bin"],"remote":false,"dhcp":{"bare":{"format":1,"steps":[{"owner":"shared","kind":"link","link":{"place":"host","name":"cni0"},"type":"bridge","up":true},{"owner":"attachment","kind":"link","link":{"place":"host","name":"vethc6a664bd"},"type":"veth","peer":{"link":{"place":"container","name":"eth0"},"mac":"06:f7:06:e2:b6:85"},"mtu":1500,"mac":"06:65:9f:0e:df:de","alias":"pods/corpus-1/eth0 bridge:cni0","port":{"bridge":"cni0","hairpin":false,"isolated":false},"up":true},{"owner":"attachment","kind":"sysctl","place":"host","key":"net/ipv6/conf/vethc6a664bd/accept_ra","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/accept_dad","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv4/conf/eth0/arp_notify","value":"1","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/ndisc_notify","value":"1","optional":true},{"owner":"attachment","kind":"up","link":{"place":"container","name":"eth0"}}]},"lease":{"address":"10.77.1.11/16","server":"10.77.0.1","hardware":[2,0,10,77,0,1],"routers":["10.77.0.1"],"routes":[{"destination":"0.0.0.0/0","via":"10.77.0.1"}],"dns":["10.77.0.53","10.77.0.54"],"domain":"example.org","search":["corp.example","lab.example"],"times":{"renew":1,"rebind":8999999999999999,"end":9000000000000000}}}},"plugin":"dhcp","plan":{"format":1,"steps":[{"owner":"shared","kind":"link","link":{"place":"host","name":"cni0"},"type":"bridge","up":true},{"owner":"shared","kind":"sysctl","place":"host","key":"net/ipv6/conf/cni0/accept_ra","value":"0","optional":true},{"owner":"attachment","kind":"link","link":{"place":"host","name":"vethc6a664bd"},"type":"veth","peer":{"link":{"place":"container","name":"eth0"},"mac":"06:f7:06:e2:b6:85"},"mtu":1500,"mac":"06:65:9f:0e:df:de","alias":"pods/corpus-1/eth0 bridge:cni0 10.77.1.11/16","port":{"bridge":"cni0","hairpin":false,"isolated":false},"up":true},{"owner":"attachment","kind":"sysctl","place":"host","key":"net/ipv6/conf/vethc6a664bd/accept_ra","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/accept_dad","value":"0","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv4/conf/eth0/arp_notify","value":"1","optional":true},{"owner":"attachment","kind":"sysctl","place":"container","key":"net/ipv6/conf/eth0/ndisc_notify","value":"1","optional":true},{"owner":"attachment","kind":"address","link":{"place":"container","name":"eth0"},"address":"10.77.1.11/16","nodad":false,"prefix_route":true,"others":"keep"},{"owner":"attachment","kind":"up","link":{"place":"container","name":"eth0"}},{"owner":"attachment","kind":"route","link":{"place":"container","name":"eth0"},"destination":"0.0.0.0/0","gateway":"10.77.0.1"}]},"result":{"cniVersion":"1.1.0","interfaces":[{"name":"cni0","mac":"02:8a:cb:92:5a:2c","mtu":1500},{"name":"vethc6a664bd","mac":"06:65:9f:0e:df:de","mtu":1500},{"name":"eth0","mac":"06:f7:06:e2:b6:85","mtu":1500,"sandbox":"/machine/container"}],"ips":[{"interface":2,"address":"10.77.1.11/16","gateway":"10.77.0.1"}],"routes":[{"dst":"0.0.0.0/0","gw":"10.77.0.1"}],"dns":{"nameservers":["10.77.0.53","10.77.0.54"],"domain":"example.org","search":["corp.example","lab.example"]}}}');
CREATE TABLE cursor (
    domain TEXT NOT NULL, network TEXT NOT NULL, ranges BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, ranges)) WITHOUT ROWID;
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('lasting',0);
INSERT INTO "meta" VALUES('seq',1883312018685955);
INSERT INTO "meta" VALUES('synced',0);
CREATE TABLE pool (
    domain TEXT NOT NULL, network TEXT NOT NULL, position INTEGER NOT NULL,
    first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, position)) WITHOUT ROWID;
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
INSERT INTO "run" VALUES('bridge:cni0',X'040000000000000000000000000A4D010B',X'040000000000000000000000000A4D010B');
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
