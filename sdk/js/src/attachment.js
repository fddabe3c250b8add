// Whose call it is.

/** CNI's key for one attachment; as text "NETWORK/CONTAINER/IFNAME". */
export class AttachmentId {
  constructor(network, container, ifname) {
    this.network = network;
    this.container = container;
    this.ifname = ifname;
    Object.freeze(this);
  }

  toString() {
    return `${this.network}/${this.container}/${this.ifname}`;
  }
}

/** An attachment, as far as the runtime tells. */
export class Attachment {
  constructor(id, pod, args) {
    this.id = id;
    this.pod = pod;
    this.args = args;
    Object.freeze(this);
  }

  /** One of no pod, with no arguments: for tests. */
  static of(network, container, ifname) {
    return new Attachment(new AttachmentId(network, container, ifname), undefined, []);
  }

  /** The same for a pod. */
  withPod(namespace, name, uid) {
    return new Attachment(this.id, { namespace, name, uid }, this.args);
  }

  /** The same with one more argument. */
  withArg(name, value) {
    return new Attachment(this.id, this.pod, [...this.args, { name, value }]);
  }

  /** The pod's namespace, where there is a pod. */
  get namespace() {
    return this.pod?.namespace;
  }

  /** The last argument of this name. */
  arg(name) {
    return this.args.findLast((arg) => arg.name === name)?.value;
  }
}
