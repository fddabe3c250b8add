-- A book's lasting half as format 2 has it. Released formats stay readable: this file is never
-- changed.
PRAGMA application_id = 2003324019;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE identity (
    domain TEXT NOT NULL, network TEXT NOT NULL, identity TEXT NOT NULL,
    position INTEGER NOT NULL, address BLOB NOT NULL,
    PRIMARY KEY (domain, network, identity, position)) WITHOUT ROWID;
INSERT INTO "identity" VALUES('bridge:cni0','pods','web-0',0,X'040000000000000000000000000A000001');
INSERT INTO "identity" VALUES('bridge:cni0','pods','web-0',1,X'06FD000000000000000000000000000001');
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "meta" VALUES('notice',0);
INSERT INTO "meta" VALUES('version',4);
CREATE TABLE notice (
    id INTEGER PRIMARY KEY,
    network TEXT NOT NULL, container TEXT NOT NULL, ifname TEXT NOT NULL,
    plugin TEXT NOT NULL, config TEXT NOT NULL, attachment TEXT NOT NULL, lease TEXT);
CREATE TABLE permanent (
    owner TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (owner, key)) WITHOUT ROWID;
INSERT INTO "permanent" VALUES('pods/host-local','all','d');
CREATE INDEX notice_network ON notice (network, container, ifname);
COMMIT;
