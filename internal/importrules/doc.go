// Package importrules holds no code, only a test: imports point downwards, from
// commands over roles and scoring to the record types. The linter checks the
// same (depguard in .golangci.yml; change both together), but a test fails for
// whoever runs nothing but go test.
package importrules
