module NAME

go 1.25

require github.com/wharfinger/wharfinger/sdk/go v0.0.0

// Written by `wharfinger plugin new`.
replace github.com/wharfinger/wharfinger/sdk/go => ./sdk

tool github.com/wharfinger/wharfinger/sdk/go/cmd/wharfinger-build
