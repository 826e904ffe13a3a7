package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-dev/weir/schemas"
)

func TestDemoFindsEveryAttackAndBlocksNobodyElse(t *testing.T) {
	t.Parallel()
	out, err := run(t, "demo", "-o", "json", "--for", "0s")
	var result struct {
		OK            bool
		Found         int               `json:"attacks_found"`
		Attacks       []json.RawMessage `json:"attacks"`
		BenignClients int               `json:"benign_clients"`
		BenignBlocked []string          `json:"benign_blocked"`
		Events        int               `json:"events"`
	}
	if jerr := json.Unmarshal(out, &result); jerr != nil {
		t.Fatalf("%v: %v\n%s", err, jerr, out)
	}
	if err != nil || !result.OK || result.Found != len(result.Attacks) || result.Found == 0 || len(result.BenignBlocked) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("figures: %d of %d attacks found, %d of %d benign clients blocked, %d events",
		result.Found, len(result.Attacks), len(result.BenignBlocked), result.BenignClients, result.Events)
}

func TestDetectBlocksTheProberOfAnAccessLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, accessLog(), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run(t, "detect", path, "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	blocked := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if v := decodeVerdict(t, line); v.Action == schemas.ActionBlock {
			blocked[v.Entity.String()] = v.Attack
		}
	}
	if len(blocked) != 1 || blocked["ip:"+attacker] != schemas.AttackProbing {
		t.Errorf("blocked %v, want the prober alone\n%s", blocked, out)
	}
}

// accessLog is an hour of 30 people in the combined format, and one address that
// looks for what people leave behind on servers.
func accessLog() []byte {
	var log []byte
	at := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	line := func(ip, path string, status int, agent string) {
		log = fmt.Appendf(log, "%s - - [%s] \"GET %s HTTP/1.1\" %d 512 \"-\" %q\n", ip, at.Format("02/Jan/2006:15:04:05 -0700"), path, status, agent)
	}
	scan := []string{"/.env", "/wp-login.php", "/admin.php", "/.git/config", "/phpmyadmin/", "/backup.zip", "/server-status", "/old/", "/config.json", "/shell.php"}
	for i := range 1200 {
		at = at.Add(3 * time.Second)
		who := i * 7 % 30
		line(fmt.Sprintf("198.51.100.%d", who+1), fmt.Sprintf("/articles/%d", (i*13+who)%80), 200, "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		if i >= 600 && i < 700 {
			line(attacker, fmt.Sprintf("%s?%d", scan[i%len(scan)], i/len(scan)), 404, "Mozilla/5.0 zgrab/0.x")
		}
	}
	return log
}
