package schemas

// Both tools are fetched and built by the go command at the versions named
// here and in buf.gen.yaml; no other installation is needed.
//go:generate go run github.com/bufbuild/buf/cmd/buf@v1.75.0 generate --template buf.gen.yaml
