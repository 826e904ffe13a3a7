package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFileBytes bounds a configuration or secret file, so that a path to the
// wrong file ends in a message instead of in memory.
const maxFileBytes = 1 << 20

// readFile reads a small file whole.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only: closing loses nothing
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFileBytes)
	}
	return data, nil
}

// fileReader sets a Config from one YAML document. It walks the syntax tree
// itself, because only there every key and value still has its line.
type fileReader struct {
	schema *schema
	config *Config
	name   string
	found  *problems
}

func (r *fileReader) at(line int) Origin {
	return Origin{source: fromFile, name: r.name, line: line}
}

func (r *fileReader) fail(line int, key, format string, args ...any) {
	r.found.add(r.at(line), key, fmt.Errorf(format, args...))
}

// read parses data and sets every key it holds.
func (r *fileReader) read(data []byte) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		// The library's own message quotes the lines around the mistake, and one
		// of them may hold a secret.
		var syntax *yaml.SyntaxError
		if errors.As(err, &syntax) && syntax.Token != nil {
			r.fail(syntax.Token.Position.Line, "", "parsing YAML: %s", syntax.Message)
			return
		}
		r.fail(0, "", "parsing YAML: the file is not valid")
		return
	}
	documents := 0
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType || doc.Body.Type() == ast.NullType {
			continue
		}
		if documents++; documents > 1 {
			r.fail(lineOf(doc.Body), "", "want one YAML document, got another")
			return
		}
		r.mapping(doc.Body, "")
	}
}

// mapping sets the keys under parent.
func (r *fileReader) mapping(node ast.Node, parent string) {
	var values []*ast.MappingValueNode
	switch n := node.(type) {
	case *ast.MappingNode:
		values = n.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{n}
	default:
		r.fail(lineOf(node), parent, "want keys with values, got %s", describe(node))
		return
	}
	for _, v := range values {
		name, ok := v.Key.(*ast.StringNode)
		if !ok {
			r.fail(lineOf(v.Key), parent, "want a plain key, got %s", describe(v.Key))
			continue
		}
		key := name.Value
		if parent != "" {
			key = parent + "." + name.Value
		}
		r.entry(key, parent, name, v.Value)
	}
}

// entry sets one key or walks into one section.
func (r *fileReader) entry(key, parent string, name *ast.StringNode, value ast.Node) {
	line := lineOf(name)
	if r.schema.isSection(key) {
		// A section whose every key is commented out is as good as absent.
		if value.Type() != ast.NullType {
			r.mapping(value, key)
		}
		return
	}
	f, ok := r.schema.byKey[key]
	// A dotted name would be a second spelling of a nested key.
	if !ok || strings.Contains(name.Value, ".") {
		r.unknown(line, key, parent, name.Value)
		return
	}
	if f.secret {
		r.fail(line, key, "a secret does not belong in this file: set %s_file or the environment variable %s", key, f.env)
		return
	}
	texts, err := scalars(f, value)
	if err == nil {
		err = f.set(r.config, texts)
	}
	if err != nil {
		r.fail(max(line, lineOf(value)), key, "%w", err)
		return
	}
	r.config.origins[key] = r.at(line)
}

// unknown reports a key that does not exist, with the one that was likely meant:
// a sibling spelt alike, or the same name in another section.
func (r *fileReader) unknown(line int, key, parent, name string) {
	var near string
	if r.schema.byKey[name] != nil {
		r.fail(line, key, "unknown key; write it as nested sections")
		return
	}
	if near = suggest(name, r.schema.children(parent)); near != "" && parent != "" {
		near = parent + "." + near
	}
	if near == "" {
		for _, f := range r.schema.fields {
			if strings.HasSuffix(f.key, "."+name) {
				near = f.key
				break
			}
		}
	}
	if near == "" {
		r.fail(line, key, "unknown key")
		return
	}
	r.fail(line, key, "unknown key; did you mean %q?", near)
}

// scalars are the texts of a value, one for a scalar key. A value whose YAML
// type differs from the key's is refused rather than converted: a converted one
// is what was written only by luck.
func scalars(f *field, node ast.Node) ([]string, error) {
	if !f.isList() {
		text, ok := scalar(f.typeName(), node)
		if !ok {
			return nil, fmt.Errorf("want %s, got %s", f.wants(), describe(node))
		}
		return []string{text}, nil
	}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		return nil, fmt.Errorf("want %s, got %s", f.wants(), describe(node))
	}
	texts := make([]string, 0, len(sequence.Values))
	for _, v := range sequence.Values {
		text, ok := scalar("string", v)
		if !ok {
			return nil, fmt.Errorf("entry %d: want text, got %s; is it lacking quotes?", len(texts)+1, describe(v))
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// scalar is the text of one value; ok is false where its YAML type does not suit
// typeName, which is one of field.typeName.
func scalar(typeName string, node ast.Node) (text string, ok bool) {
	var accepted []ast.NodeType
	switch typeName {
	case "bool":
		accepted = []ast.NodeType{ast.BoolType}
	case "int":
		accepted = []ast.NodeType{ast.IntegerType}
	case "number":
		// 1e-4 without a point is a number in YAML, but this parser reads text.
		accepted = []ast.NodeType{ast.IntegerType, ast.FloatType, ast.StringType}
	default:
		accepted = []ast.NodeType{ast.StringType, ast.LiteralType}
	}
	if !slices.Contains(accepted, node.Type()) {
		return "", false
	}
	switch n := node.(type) {
	case *ast.StringNode:
		return n.Value, typeName != "number" || !isQuoted(n)
	case *ast.LiteralNode:
		return strings.TrimSuffix(n.Value.Value, "\n"), true
	}
	return node.GetToken().Value, true
}

func isQuoted(n *ast.StringNode) bool {
	return n.Token.Type == token.DoubleQuoteType || n.Token.Type == token.SingleQuoteType
}

// describe says what a value is, for a message about what it should have been.
func describe(node ast.Node) string {
	switch n := node.(type) {
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + node.GetToken().Value
	case *ast.BoolNode:
		return "the truth value " + node.GetToken().Value
	case *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "keys with values"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor, alias or merge, which are not supported"
	}
	return "something else"
}

// lineOf is the line a node starts on.
func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 0
	}
	return node.GetToken().Position.Line
}
