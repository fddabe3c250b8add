-- A book as format 4 has it. Released formats stay readable: this file is never changed.
PRAGMA journal_mode = WAL;
PRAGMA application_id = 2003321451;
PRAGMA user_version = 4;
BEGIN TRANSACTION;
CREATE TABLE address (
    domain TEXT NOT NULL, address BLOB NOT NULL,
    holder INTEGER, until INTEGER, released INTEGER, kept INTEGER,
    PRIMARY KEY (domain, address)) WITHOUT ROWID;
INSERT INTO "address" VALUES('bridge:cni0',X'040000000000000000000000000A000000',1,NULL,NULL,NULL);
INSERT INTO "address" VALUES('bridge:cni0',X'040000000000000000000000000A000001',NULL,1700000060,6,3);
INSERT INTO "address" VALUES('bridge:cni0',X'040000000000000000000000000A000002',NULL,1700000060,7,NULL);
INSERT INTO "address" VALUES('bridge:cni0',X'040000000000000000000000000A000003',4,NULL,NULL,NULL);
INSERT INTO "address" VALUES('bridge:cni0',X'06FD000000000000000000000000000000',1,NULL,NULL,NULL);
INSERT INTO "address" VALUES('bridge:cni0',X'06FD000000000000000000000000000001',NULL,1700000060,6,3);
INSERT INTO "address" VALUES('bridge:cni0',X'06FD000000000000000000000000000002',NULL,1700000060,7,NULL);
INSERT INTO "address" VALUES('bridge:cni0',X'06FD000000000000000000000000000003',4,NULL,NULL,NULL);
CREATE TABLE attachment (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    seq INTEGER NOT NULL, domain TEXT NOT NULL, body TEXT NOT NULL,
    UNIQUE (network, container, ifname));
INSERT INTO "attachment" VALUES(1,'pods','a','eth0',2,'bridge:cni0','{"id":{"network":"pods","container":"a","ifname":"eth0"},"state":"attached","created":1700000000,"netns":"/run/netns/a","cookie":18446744073709551615,"domain":"bridge:cni0","addresses":["10.0.0.0","fd00::"],"conf":{"z":1,"a":[1.5,"é",null]},"plugin":"host-local@sha256:00","plan":{"format":1,"steps":[]},"result":{"cniVersion":"1.1.0"}}');
INSERT INTO "attachment" VALUES(4,'pods','d','eth0',5,'bridge:cni0','{"id":{"network":"pods","container":"d","ifname":"eth0"},"state":"pending","created":1700000000,"netns":"/run/netns/d","cookie":18446744073709551615,"domain":"bridge:cni0","addresses":["10.0.0.3","fd00::3"],"conf":{"z":1,"a":[1.5,"é",null]},"plugin":"host-local@sha256:00","plan":{"format":1,"steps":[]},"result":null}');
CREATE TABLE cursor (
    domain TEXT NOT NULL, network TEXT NOT NULL, ranges BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, ranges)) WITHOUT ROWID;
INSERT INTO "cursor" VALUES('bridge:cni0','pods',X'040000000000000000000000000A000000040000000000000000000000000A000009',X'040000000000000000000000000A000003');
INSERT INTO "cursor" VALUES('bridge:cni0','pods',X'06FD00000000000000000000000000000006FD000000000000000000000000000009',X'06FD000000000000000000000000000003');
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
INSERT INTO "identity" VALUES('bridge:cni0','pods','web-0',0,X'040000000000000000000000000A000001');
INSERT INTO "identity" VALUES('bridge:cni0','pods','web-0',1,X'06FD000000000000000000000000000001');
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('lasting',4);
INSERT INTO "meta" VALUES('seq',7);
INSERT INTO "meta" VALUES('synced',0);
CREATE TABLE pool (
    domain TEXT NOT NULL, network TEXT NOT NULL, position INTEGER NOT NULL,
    first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, network, position)) WITHOUT ROWID;
INSERT INTO "pool" VALUES('bridge:cni0','pods',0,X'040000000000000000000000000A000000',X'040000000000000000000000000A000009');
INSERT INTO "pool" VALUES('bridge:cni0','pods',1,X'06FD000000000000000000000000000000',X'06FD000000000000000000000000000009');
CREATE TABLE run (
    domain TEXT NOT NULL, first BLOB NOT NULL, last BLOB NOT NULL,
    PRIMARY KEY (domain, first)) WITHOUT ROWID;
INSERT INTO "run" VALUES('bridge:cni0',X'040000000000000000000000000A000000',X'040000000000000000000000000A000003');
INSERT INTO "run" VALUES('bridge:cni0',X'06FD000000000000000000000000000000',X'06FD000000000000000000000000000003');
CREATE TABLE store (
    owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, holder INTEGER,
    PRIMARY KEY (owner, key)) WITHOUT ROWID;
INSERT INTO "store" VALUES('pods/host-local','a','hers',1);
INSERT INTO "store" VALUES('pods/host-local','all','d',NULL);
INSERT INTO "store" VALUES('pods/host-local','d','hers',4);
CREATE INDEX address_until ON address (until) WHERE until IS NOT NULL;
CREATE INDEX address_released ON address (domain, released)
    WHERE until IS NOT NULL AND kept IS NULL;
CREATE INDEX address_kept ON address (domain, kept)
    WHERE kept IS NOT NULL AND holder IS NULL;
CREATE INDEX identity_address ON identity (domain, address);
CREATE INDEX store_holder ON store (holder) WHERE holder IS NOT NULL;
CREATE TABLE port (
    protocol INTEGER NOT NULL, port INTEGER NOT NULL, address BLOB NOT NULL,
    holder INTEGER NOT NULL,
    PRIMARY KEY (protocol, port, address)) WITHOUT ROWID;
CREATE TABLE remote (
    key TEXT PRIMARY KEY, version INTEGER NOT NULL, value TEXT NOT NULL, own INTEGER NOT NULL)
    WITHOUT ROWID;
CREATE INDEX remote_own ON remote (own) WHERE own;
CREATE TABLE queue (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
COMMIT;
