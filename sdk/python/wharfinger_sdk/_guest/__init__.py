"""The side of a component: imported while componentize-py makes one, never by an author and never in
a unit test. Start at `_begin`."""
