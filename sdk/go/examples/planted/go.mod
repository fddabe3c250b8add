module planted

go 1.25

require github.com/wharfinger/wharfinger/sdk/go v0.0.0

replace github.com/wharfinger/wharfinger/sdk/go => ../..

tool github.com/wharfinger/wharfinger/sdk/go/cmd/wharfinger-build
