// Write an IPAM or a policy plugin of wharfinger in JavaScript or TypeScript. Start reading at
// `plugin.js`.

export { Address, Net, Range } from './ip.js';
export { Attachment, AttachmentId } from './attachment.js';
export { Failure, explain } from './failure.js';
export { Subnet } from './subnet.js';
export { allow, amend, deny } from './verdict.js';
export { ipam, policy } from './plugin.js';
export { problem } from './problem.js';
export * as ledger from './ledger.js';
export * as node from './node.js';
export * as store from './store.js';
