"""What a plan says is true: small projects, a change each, and an expectation that somebody wrote by hand."""
