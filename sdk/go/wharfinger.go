// Package wharfinger has what IPAM and policy plugins of wharfinger share: attachments, ranges,
// routes, problems of a configuration, and failures.
//
// A plugin is its configuration: a type that JSON is decoded into, and that answers.
//
//	type Config struct {
//		Pool ipam.Subnet `json:"pool"`
//	}
//
//	var plugin = ipam.Export[Config]()
//
//	func main() {}
//
//	func (c *Config) Pools() ([]ipam.Pool, error) {
//		return []ipam.Pool{c.Pool.Pool()}, nil
//	}
//
//	func (c *Config) Allocate(request *ipam.Request) (*ipam.Lease, error) {
//		leased, err := c.Pool.TakeFree()
//		if err != nil {
//			return nil, err
//		}
//		return ipam.LeaseOf(leased), nil
//	}
//
// All calls of one ADD are one transaction of the host: a failure, a panic or a missed deadline
// leaves nothing behind. After a conflict with another node the host calls again. Each call may
// meet a fresh instance: a plugin depends on its arguments and on what the packages ledger, store
// and node answer, and keeps nothing itself. What [log/slog] is told reaches the operator's log.
//
// Start reading at package ipam or package policy; package wharfingertest is the host for tests.
package wharfinger
