package schemas

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/weir-dev/weir/schemas/weirv1"
)

// named reads FORMAT.md and gives every word that it sets in code quotes.
func named(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(text), -1) {
		words[m[1]] = true
	}
	return words
}

func TestFormatNamesEveryFieldOfEvent(t *testing.T) {
	words := named(t)
	fields := (&weirv1.Event{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); !words[name] {
			t.Errorf("FORMAT.md does not name the field %s", name)
		}
	}
	for _, name := range eventNames[1:] {
		if !words[name] {
			t.Errorf("FORMAT.md does not name the JSON field %s", name)
		}
	}
}

func TestFormatNamesTheFieldsOfJSONRecords(t *testing.T) {
	words := named(t)
	for _, m := range []proto.Message{
		&weirv1.Verdict{}, &weirv1.Entity{}, &weirv1.Calibration{}, &weirv1.Explanation{},
		&weirv1.FeatureExplanation{}, &weirv1.BlockEntry{}, &weirv1.Label{},
	} {
		fields := m.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			if name := strings.TrimSuffix(string(fields.Get(i).Name()), "_us"); !words[name] {
				t.Errorf("FORMAT.md does not name %s of %T", name, m)
			}
		}
	}
}

func TestFormatNamesTopicsHeadersSchemasAndReasons(t *testing.T) {
	words := named(t)
	names := []string{
		HeaderSchema, HeaderContentType, ContentTypeJSON, ContentTypeProtobuf,
		SchemaEvent, SchemaFeatures, SchemaAggregate, SchemaVerdict, SchemaBlockEntry, SchemaState, SchemaModel,
		"weir-reason", "weir-topic", "weir-partition", "weir-offset", "weir-tick",
	}
	for _, r := range []Reason{
		ReasonEmpty, ReasonTooLarge, ReasonTooDeep, ReasonMalformedJSON, ReasonMalformedProtobuf, ReasonInvalidUTF8,
		ReasonInvalidTime, ReasonWrongType, ReasonOutOfRange, ReasonUnknownSchema, ReasonUnknownVersion,
		ReasonUnknownContentType, ReasonLate,
	} {
		names = append(names, string(r))
	}
	for _, topic := range Topics("", 1) {
		names = append(names, topic.Name)
	}
	for _, name := range names {
		if !words[name] {
			t.Errorf("FORMAT.md does not name %s", name)
		}
	}
}

// The table of topics must say of each what Topics sets.
func TestFormatTopicTableAgreesWithTopics(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, topic := range Topics("", 6) {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "| `"+topic.Name+"` ") })
		if i < 0 {
			t.Fatalf("no row for %s", topic.Name)
		}
		row := lines[i]
		if single := strings.Contains(row, "(1 partition)"); single != (topic.Partitions == 1) {
			t.Errorf("%s: row says one partition: %v, Topics says %d", topic.Name, single, topic.Partitions)
		}
		kept := map[string]string{"86400000": "24 h", "259200000": "72 h", "604800000": "168 h", "": "last per key"}[topic.Config["retention.ms"]]
		want := "| " + topic.Config["cleanup.policy"] + " | " + kept + " |"
		if !strings.HasSuffix(row, want) {
			t.Errorf("%s: row ends otherwise than %q: %s", topic.Name, want, row)
		}
	}
}
