// Who may be attached, and how: namespaces, ports of the host, so many attachments, an MTU.

import { type Attachment, Failure, type Json, type Sources, type Verdict, allow, amend, deny, policy, store } from '@wharfinger/sdk';
import { integer, list, object, optional, string } from '@wharfinger/sdk/config';

/** "80" or "8000-8100". */
interface Span {
  first: number;
  last: number;
}

const span = string.map((text): Span => {
  const [first = 0, last = first] = /^\d{1,5}(-\d{1,5})?$/.test(text) ? text.split('-').map(Number) : [];
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

function strange(namespaces: string[], { namespace }: Attachment): Verdict | undefined {
  if (namespace === undefined) return deny('an attachment without a pod is refused');
  return namespaces.includes(namespace) ? undefined : deny(`namespace ${namespace} is not attached`);
}

function closed(spans: Span[], runtime: Sources['runtime']): Verdict | undefined {
  const open = (port: number) => spans.some(({ first, last }) => first <= port && port <= last);
  const port = asked(runtime).find((one) => !open(one));
  return port === undefined ? undefined : deny(`port ${port} of the host is not allowed`);
}

/** What cannot be read refuses: a policy that skips it could be passed by. */
function asked({ portMappings = [] }: Sources['runtime']): number[] {
  if (!Array.isArray(portMappings)) throw unreadable();
  return portMappings.map(hostPort).filter((port) => port > 0);
}

function hostPort(mapping: Json): number {
  if (typeof mapping !== 'object' || mapping === null || Array.isArray(mapping)) throw unreadable();
  const { hostPort: port = 0 } = mapping;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw unreadable();
}

const unreadable = () => new Failure('other', 'portMappings: not a list of ports');

/** Put first: an ADD that is asked again counts once, and a refusal takes it back. */
function full(quota: number, { id, namespace }: Attachment): Verdict | undefined {
  store.put(`${namespace}/${id}`, '', 'attachment');
  const count = store.count(`${namespace}/`);
  if (count <= quota) return undefined;
  return deny(`namespace ${namespace} has ${count - 1} attachments, and may have ${quota}`);
}
