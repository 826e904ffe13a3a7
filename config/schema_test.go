package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestEveryKeyIsDocumentedAndWellNamed(t *testing.T) {
	s := newSchema()
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for _, f := range s.fields {
		for _, part := range strings.Split(f.key, ".") {
			if !name.MatchString(part) {
				t.Errorf("%s: key is not snake case", f.key)
			}
		}
		if !strings.HasSuffix(f.doc, ".") {
			t.Errorf("%s: doc is no sentence: %q", f.key, f.doc)
		}
		if f.secret != (f.value(new(Config)).Type() == reflect.TypeFor[Secret]()) {
			t.Errorf("%s: the secret tag and the type Secret do not agree", f.key)
		}
		if f.secret && s.byKey[f.key+"_file"] == nil {
			t.Errorf("%s: secret has no %s_file beside it", f.key, f.key)
		}
	}
	for _, x := range s.sections {
		if !strings.HasSuffix(x.doc, ".") {
			t.Errorf("%s: doc is no sentence: %q", x.key, x.doc)
		}
	}
}

func TestFlagsAndVariablesAreUnique(t *testing.T) {
	seen := map[string]string{}
	for _, f := range newSchema().fields {
		for _, name := range []string{f.flag, f.env} {
			if name == "" {
				continue
			}
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s are both %s", f.key, other, name)
			}
			seen[name] = f.key
		}
	}
}

// An exported field without a yaml tag could not be set by anybody.
func TestEveryFieldHasAKey(t *testing.T) {
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.IsExported() && f.Tag.Get("yaml") == "" {
				t.Errorf("%s.%s has no yaml tag", typ.Name(), f.Name)
			}
			if f.Type.Kind() == reflect.Struct && f.IsExported() && f.Type != reflect.TypeFor[Secret]() {
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestSecretsHaveNoFlag(t *testing.T) {
	fs := pflag.NewFlagSet("weir", pflag.ContinueOnError)
	BindFlags(fs)
	for _, name := range []string{"listen.token", "ingest.hash-key", "sink.clickhouse-dsn", "kafka.sasl.password"} {
		if fs.Lookup(name) != nil {
			t.Errorf("--%s would show a secret in the process list", name)
		}
		if fs.Lookup(name+"-file") == nil {
			t.Errorf("--%s-file is missing", name)
		}
	}
	for _, name := range []string{"brokers", "data-dir", "roles", "tenant", "kafka.tls.ca-file"} {
		if fs.Lookup(name) == nil {
			t.Errorf("--%s is missing", name)
		}
	}
	if fs.Lookup("kafka.brokers") != nil {
		t.Error("--kafka.brokers exists beside --brokers")
	}
}

func TestSuggestionIsNearOrNone(t *testing.T) {
	f := func(word, want string, candidates ...string) {
		t.Helper()
		if got := suggest(word, candidates); got != want {
			t.Errorf("suggestion for %q is %q, want %q", word, got, want)
		}
	}
	f("brokr", "brokers", "tls", "brokers", "sasl")
	f("hpo", "hop", "hop", "lateness")
	f("topicprefix", "topic_prefix", "topic_prefix", "group_prefix")
	f("quux", "", "kafka", "score", "log")
	f("", "", "kafka")
}
