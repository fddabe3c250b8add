// Who may be attached, and how: namespaces, ports of the host, so many attachments, an MTU.

import { Failure, allow, amend, deny, policy, store } from '@wharfinger/sdk';
import { integer, list, object, optional, string } from '@wharfinger/sdk/config';

/** "80" or "8000-8100". */
const span = string.map((text) => {
  const [first, last = first] = /^\d{1,5}(-\d{1,5})?$/.test(text) ? text.split('-').map(Number) : [];
  if (!(first > 0 && first <= last && last <= 65535)) throw new RangeError(`"${text}" is no port and no range of ports`);
  return { first, last };
});

export default policy({
  config: object({
    namespaces: optional(list(string)),
    hostPorts: optional(list(span)),
    quota: optional(integer({ min: 1 })),
    mtu: optional(integer({ min: 68, max: 65535 })),
  }),

  admit({ namespaces, hostPorts, quota, mtu }, { attachment, written }) {
    return (
      (namespaces && strange(namespaces, attachment)) ??
      (hostPorts && closed(hostPorts, written.runtime)) ??
      (quota && attachment.pod ? full(quota, attachment) : undefined) ??
      (mtu === undefined ? allow() : amend({ mtu }))
    );
  },
});

function strange(namespaces, { namespace }) {
  if (namespace === undefined) return deny('an attachment without a pod is refused');
  return namespaces.includes(namespace) ? undefined : deny(`namespace ${namespace} is not attached`);
}

function closed(spans, runtime) {
  const open = (port) => spans.some(({ first, last }) => first <= port && port <= last);
  const port = asked(runtime).find((one) => !open(one));
  return port === undefined ? undefined : deny(`port ${port} of the host is not allowed`);
}

/** What cannot be read refuses: a policy that skips it could be passed by. */
function asked({ portMappings = [] }) {
  const readable = ({ hostPort = 0 }) => Number.isInteger(hostPort) && hostPort >= 0 && hostPort <= 65535;
  if (!Array.isArray(portMappings) || !portMappings.every((mapping) => isObject(mapping) && readable(mapping))) {
    throw new Failure('other', 'portMappings: not a list of ports');
  }
  return portMappings.map(({ hostPort = 0 }) => hostPort).filter((port) => port > 0);
}

/** Put first: an ADD that is asked again counts once, and a refusal takes it back. */
function full(quota, { id, namespace }) {
  store.put(`${namespace}/${id}`, '', 'attachment');
  const count = store.count(`${namespace}/`);
  if (count <= quota) return undefined;
  return deny(`namespace ${namespace} has ${count - 1} attachments, and may have ${quota}`);
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
