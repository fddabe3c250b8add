// Who may be attached: pods of the namespaces that the configuration names.

import { allow, deny, policy } from '@wharfinger/sdk';
import { list, object, string } from '@wharfinger/sdk/config';

export default policy({
  config: object({
    // Their pods may be attached.
    namespaces: list(string, { empty: 'is empty: nobody could be attached' }),
  }),

  admit({ namespaces }, { attachment: { namespace } }) {
    if (namespace === undefined) return deny('only pods are attached here');
    if (!namespaces.includes(namespace)) return deny(`namespace ${namespace} is not attached to this network`);
    console.debug(`namespace ${namespace} is allowed`);
    return allow();
  },
});
