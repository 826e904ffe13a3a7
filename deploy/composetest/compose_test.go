package composetest

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"
)

const root = "../.."

// project is docker-compose.yml as Compose would read it with nothing set in the
// environment.
func project(t *testing.T) *types.Project {
	t.Helper()
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "docker-compose.yml")}},
		Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// weirServices are the services that run the binary.
func weirServices(p *types.Project) types.Services {
	services := types.Services{}
	for name, s := range p.Services {
		if strings.HasPrefix(s.Image, "weir:") {
			services[name] = s
		}
	}
	return services
}

// roles are those of the configuration's reference.
func roles(t *testing.T) []string {
	t.Helper()
	var reference struct {
		Roles []string `yaml:"roles"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "config/reference.yml")), &reference); err != nil {
		t.Fatal(err)
	}
	if len(reference.Roles) == 0 {
		t.Fatal("the reference lists no roles")
	}
	return reference.Roles
}

func TestEveryServiceIsThere(t *testing.T) {
	p := project(t)
	want := append([]string{"kafka", "clickhouse", "prometheus", "grafana"}, roles(t)...)
	got := p.ServiceNames()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("services are %v, want %v", got, want)
	}
	if s := p.Services["extract"]; s.Deploy == nil || s.Deploy.Replicas == nil || *s.Deploy.Replicas != 2 {
		t.Error("extract does not run twice")
	}
}

func TestCommandsNameRolesThatExist(t *testing.T) {
	known := roles(t)
	for name, s := range weirServices(project(t)) {
		if len(s.Command) != 3 || s.Command[0] != "run" || s.Command[1] != "--roles" {
			t.Errorf("%s: command is %q, want run --roles ...", name, s.Command)
			continue
		}
		for _, role := range strings.Split(s.Command[2], ",") {
			if !slices.Contains(known, role) {
				t.Errorf("%s: %q is no role", name, role)
			}
		}
	}
}

func TestVariablesAreKeysOfTheConfiguration(t *testing.T) {
	known := map[string]bool{}
	for _, m := range regexp.MustCompile(`env (WEIR_[A-Z_]+)`).FindAllStringSubmatch(read(t, "config/reference.yml"), -1) {
		known[m[1]] = true
	}
	if len(known) < 30 {
		t.Fatalf("only %d variables found in the reference", len(known))
	}
	for name, s := range weirServices(project(t)) {
		for variable := range s.Environment {
			if !known[variable] {
				t.Errorf("%s: %s is not a key of the configuration", name, variable)
			}
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ENV (WEIR_[A-Z_]+)=`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		if !known[m[1]] {
			t.Errorf("Dockerfile: %s is not a key of the configuration", m[1])
		}
	}
}

// pinned reports whether an image names a version, so that tomorrow's start
// gives the same as today's.
func pinned(image string) bool {
	_, tag, ok := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], ":")
	return ok && regexp.MustCompile(`\d+\.\d+`).MatchString(tag)
}

func TestImagesArePinned(t *testing.T) {
	for name, s := range project(t).Services {
		if !pinned(s.Image) {
			t.Errorf("%s: image %q names no version", name, s.Image)
		}
	}
	for image, want := range map[string]bool{"a/b": false, "a/b:latest": false, "host:5000/b": false, "a/b:v3.5.0": true, "b:25.8.8.26": true} {
		if pinned(image) != want {
			t.Errorf("pinned(%q) is not %v", image, want)
		}
	}
}

func TestServicesHaveNoMoreRightsThanNeeded(t *testing.T) {
	for name, s := range project(t).Services {
		uid, _, _ := strings.Cut(s.User, ":")
		if uid == "" || uid == "0" || uid == "root" {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if s.Privileged || s.NetworkMode == "host" || s.Pid == "host" || s.Ipc == "host" || len(s.CapAdd) > 0 || len(s.Devices) > 0 {
			t.Errorf("%s has rights over the host", name)
		}
		if !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s may gain privileges", name)
		}
		for _, v := range s.Volumes {
			if strings.Contains(v.Source, "docker.sock") {
				t.Errorf("%s holds the Docker socket", name)
			}
			if v.Type == types.VolumeTypeBind && !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
	for name, s := range weirServices(project(t)) {
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || s.User != "65532:65532" {
			t.Errorf("%s: the root is writable, capabilities are kept, or the user is not the image's", name)
		}
	}
}

func TestPortsArePublishedOnLoopbackOnly(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		for _, port := range s.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is published on %q", name, port.Published, port.HostIP)
			}
		}
		if _, outside := s.Networks["outside"]; outside && len(s.Ports) == 0 {
			t.Errorf("%s has no port to publish and is connected to the outside", name)
		}
		if replicas := s.Deploy; replicas != nil && len(s.Ports) > 0 {
			t.Errorf("%s: replicas cannot share a port of the host", name)
		}
	}
	if !p.Networks["inside"].Internal {
		t.Error("the inner network reaches other networks")
	}
}

func TestEveryServiceIsHealthCheckedAndRestarted(t *testing.T) {
	for name, s := range project(t).Services {
		if s.HealthCheck == nil || s.HealthCheck.Disable || len(s.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		if s.Restart != types.RestartPolicyUnlessStopped {
			t.Errorf("%s: restart is %q", name, s.Restart)
		}
		for dependency, d := range s.DependsOn {
			if d.Condition != types.ServiceConditionHealthy {
				t.Errorf("%s waits for %s only until it is %s", name, dependency, d.Condition)
			}
		}
	}
}

func TestMountedFilesExist(t *testing.T) {
	for name, s := range project(t).Services {
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, "Dockerfile")
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "\nUSER 65532:65532\n", ":nonroot\n", "golang:1.26", "HEALTHCHECK"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	for _, m := range regexp.MustCompile(`go build .* (\./\S+) (\./\S+)`).FindAllStringSubmatch(text, -1) {
		for _, dir := range m[1:] {
			if _, err := os.Stat(filepath.Join(root, dir)); err != nil {
				t.Errorf("%s is built and does not exist", dir)
			}
		}
	}
	// What the build needs must not be kept out of its context.
	ignored := strings.Fields(read(t, ".dockerignore"))
	for _, needed := range []string{"go.mod", "go.sum", "cmd", "deploy", "deploy/healthcheck", "schemas", "internal", "config", "scoring"} {
		if slices.Contains(ignored, needed) {
			t.Errorf("%s is kept out of the build", needed)
		}
	}
}
