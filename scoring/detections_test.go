package scoring

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const detectionsFile = "../docs/detections.md"

// The document is made from the catalogue: go test ./scoring -run Detections -update.
func TestDetectionsAreDocumented(t *testing.T) {
	head, err := os.ReadFile("testdata/detections.head.md")
	if err != nil {
		t.Fatal(err)
	}
	got := detections(string(head))
	if *update {
		if err := os.WriteFile(detectionsFile, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(detectionsFile)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what the catalogue says: run with -update", detectionsFile)
	}
}

// Families are explained under their names.
func TestDocumentExplainsEveryFamily(t *testing.T) {
	head, err := os.ReadFile("testdata/detections.head.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(FamilyNames(), "crowd") {
		if !strings.Contains(string(head), "| "+name+" |") {
			t.Errorf("family %s is not explained", name)
		}
	}
	for _, word := range []string{Conformal, Extrapolated, Rule, HeldShadow, HeldOut, HeldBrake, HeldFDR} {
		if !strings.Contains(string(head), "`"+word+"`") {
			t.Errorf("%q is not explained", word)
		}
	}
}

func detections(head string) string {
	var b strings.Builder
	b.WriteString("<!-- Made from scoring/attacks.go and scoring/testdata/detections.head.md by: go test ./scoring -run Detections -update -->\n\n")
	b.WriteString(head)
	b.WriteString("\n## The catalogue\n\n| attack | OWASP API Top 10 (2023) | ATT&CK | PingIntelligence |\n|---|---|---|---|\n")
	for _, a := range Catalogue() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s | %s |\n", a.Title, a.Name, ids(a.OWASP, ":2023"), ids(a.MITRE, ""), ids(a.PingIntelligence, ""))
	}
	for _, a := range Catalogue() {
		fmt.Fprintf(&b, "\n### %s\n\n**%s.** %s\n\n- Found by %s.\n- What to do: %s\n", a.Name, a.Title, a.Seen, a.Evidence, a.Remedy)
		fmt.Fprintf(&b, "- OWASP %s; ATT&CK %s", ids(a.OWASP, ""), attackLinks(a.MITRE))
		if len(a.PingIntelligence) > 0 {
			fmt.Fprintf(&b, "; PingIntelligence %s", ids(a.PingIntelligence, ""))
		}
		b.WriteString(".\n")
	}
	return b.String()
}

func ids(ids []string, without string) string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strings.TrimSuffix(id, without)
	}
	return strings.Join(out, ", ")
}

func attackLinks(techniques []string) string {
	out := make([]string, len(techniques))
	for i, id := range techniques {
		out[i] = fmt.Sprintf("[%s](https://attack.mitre.org/techniques/%s/)", id, strings.ReplaceAll(id, ".", "/"))
	}
	return strings.Join(out, ", ")
}
