package config

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// Every weir service of docker-compose.yml must start: its flags and environment
// make a configuration that is accepted, without a variable that nobody reads.
func TestComposeServicesHaveValidConfigurations(t *testing.T) {
	data, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Services map[string]struct {
			Image       string            `yaml:"image"`
			Command     []string          `yaml:"command"`
			Environment map[string]string `yaml:"environment"`
		} `yaml:"services"`
	}
	// Keys beside a merge may repeat what they override.
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	// ${NAME:-default} with nothing set.
	variable := regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)
	served := map[string]bool{}
	for name, s := range file.Services {
		if !strings.HasPrefix(s.Image, "weir:") {
			continue
		}
		if len(s.Command) == 0 || s.Command[0] != "run" {
			t.Errorf("%s: command is %q, want run", name, s.Command)
			continue
		}
		var environ []string
		for k, v := range s.Environment {
			s.Environment[k] = variable.ReplaceAllString(v, "$1")
			environ = append(environ, k+"="+v)
		}
		c, err := Load("", parsed(t, s.Command[1:]...), environment(s.Environment))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, note := range UnknownEnv(environ) {
			t.Errorf("%s: %s", name, note)
		}
		if c.Kafka.Embedded() {
			t.Errorf("%s has a broker of its own", name)
		}
		if c.DataDir != "/data" || !strings.HasPrefix(c.Listen.Admin, "0.0.0.0:8640") {
			t.Errorf("%s: data in %s, admin at %s", name, c.DataDir, c.Listen.Admin)
		}
		for _, role := range c.Roles {
			served[role] = true
		}
	}
	for _, role := range Default().Roles {
		if !served[role] {
			t.Errorf("no service plays the role %s", role)
		}
	}
}
