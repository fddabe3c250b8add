module github.com/wharfinger/wharfinger/sdk/go

go 1.25
