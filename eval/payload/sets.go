package payload

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/weir-dev/weir/ingest"
)

// DatasetsEnv names the environment variable with the folder of the data sets,
// which are no part of the project: their licences or their size forbid it.
const DatasetsEnv = "WEIR_DATASETS"

// Files of the data sets within their folder.
const (
	listsFile    = "payloads.jsonl.xz"
	browsingFile = "legit-browsing.jsonl.xz"
	csicFile     = "csic2010.tar.xz"
	atrdfFile    = "atrdf.tar.xz"
	crsFile      = "crs-regression.tar.xz"
)

// Lists reads the lists of strings, by their source: HttpParams' own split as
// "httpparams-train" and "httpparams-test", and lists by others.
func Lists(ctx context.Context, dir string) (map[string][]*Request, error) {
	out := map[string][]*Request{}
	err := ReadFile(ctx, filepath.Join(dir, listsFile), func(r *Request) error {
		out[r.Source] = append(out[r.Source], r)
		return nil
	}, nil, nil)
	return out, err
}

// Browsing streams the capture of real, benign browsing to fn.
func Browsing(ctx context.Context, dir string, fn func(*Request) error) error {
	return ReadFile(ctx, filepath.Join(dir, browsingFile), func(r *Request) error {
		r.Label, r.Type, r.Source = Benign, "browsing", "legit-browsing"
		return fn(r)
	}, nil, nil)
}

// CSIC are the requests of the HTTP dataset CSIC 2010.
type CSIC struct {
	Training  []*Request // benign
	Normal    []*Request // benign, to judge
	Anomalous []*Request
}

// ReadCSIC reads CSIC 2010.
func ReadCSIC(ctx context.Context, dir string) (*CSIC, error) {
	c := &CSIC{}
	err := eachFile(ctx, filepath.Join(dir, csicFile), func(name string, r io.Reader) error {
		read := func(into *[]*Request, label int, kind string) error {
			rows, err := rawRequests(r)
			for _, row := range rows {
				row.Label, row.Type, row.Source = label, kind, "csic2010"
			}
			*into = rows
			return err
		}
		switch filepath.Base(name) {
		case "normalTrafficTraining.txt":
			return read(&c.Training, Benign, "normal")
		case "normalTrafficTest.txt":
			return read(&c.Normal, Benign, "normal")
		case "anomalousTrafficTest.txt":
			return read(&c.Anomalous, Attack, "anomalous")
		}
		return nil
	})
	return c, err
}

// ReadATRDF reads the labelled part of ATRDF: requests to the REST API of a test
// bed. The recorder wrote Set-Cookie among the request's headers, where no client
// sends one; it stays, because half of one kind of attack stands in it.
func ReadATRDF(ctx context.Context, dir string) ([]*Request, error) {
	var out []*Request
	err := eachFile(ctx, filepath.Join(dir, atrdfFile), func(name string, r io.Reader) error {
		if filepath.Base(name) != "dataset_1_train.json" {
			return nil
		}
		d := json.NewDecoder(r)
		if _, err := d.Token(); err != nil {
			return fmt.Errorf("reading ATRDF: %w", err)
		}
		for d.More() {
			var row struct {
				Request struct {
					Headers map[string]string `json:"headers"`
					Method  string            `json:"method"`
					URL     string            `json:"url"`
					Body    string            `json:"body"`
					Attack  string            `json:"Attack_Tag"`
				} `json:"request"`
			}
			if err := d.Decode(&row); err != nil {
				return fmt.Errorf("reading ATRDF: %w", err)
			}
			q := row.Request
			req := &Request{Method: q.Method, URL: q.URL, Headers: q.Headers, Body: q.Body, Type: q.Attack, Label: Attack, Source: "atrdf"}
			if q.Attack == "" {
				req.Label, req.Type = Benign, "benign"
			}
			out = append(out, req)
		}
		return nil
	})
	return out, err
}

// ReadCRS reads the regression tests of the OWASP CRS that send one request: an
// Attack is one on which a rule must fire. The type is the rules' file without
// "REQUEST-". They test rules, not a detector: many benign rows are just not
// this rule's business, and protocol rules have nothing to do with payloads.
func ReadCRS(ctx context.Context, dir string) ([]*Request, error) {
	var out []*Request
	err := eachFile(ctx, filepath.Join(dir, crsFile), func(name string, r io.Reader) error {
		if filepath.Ext(name) != ".yaml" {
			return nil
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		rows, err := crsTests(text)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		kind := strings.TrimPrefix(filepath.Base(filepath.Dir(name)), "REQUEST-")
		for _, row := range rows {
			row.Type, row.Source = kind, "crs-regression"
		}
		out = append(out, rows...)
		return nil
	})
	return out, err
}

func crsTests(text []byte) ([]*Request, error) {
	var file struct {
		Tests []struct {
			Stages []struct {
				Input struct {
					Headers map[string]any `yaml:"headers"`
					Method  string         `yaml:"method"`
					URI     string         `yaml:"uri"`
					Data    any            `yaml:"data"`
					Encoded string         `yaml:"encoded_request"`
				} `yaml:"input"`
				Output struct {
					Log struct {
						Expect   []int `yaml:"expect_ids"`
						NoExpect []int `yaml:"no_expect_ids"`
					} `yaml:"log"`
				} `yaml:"output"`
			} `yaml:"stages"`
		} `yaml:"tests"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("decoding YAML: %w", err)
	}
	var out []*Request
	for _, t := range file.Tests {
		if len(t.Stages) != 1 {
			continue
		}
		in, log := t.Stages[0].Input, t.Stages[0].Output.Log
		if in.Encoded != "" || len(log.Expect)+len(log.NoExpect) == 0 {
			continue
		}
		r := &Request{Method: in.Method, URL: in.URI, Headers: map[string]string{}, Label: Benign}
		if r.Method == "" {
			r.Method = "GET"
		}
		if r.URL == "" {
			r.URL = "/"
		}
		if in.Data != nil {
			r.Body = fmt.Sprint(in.Data)
		}
		for n, v := range in.Headers {
			r.Headers[n] = fmt.Sprint(v)
		}
		if r.Body != "" && r.Header("Content-Type") == "" {
			// The tests' own client adds it.
			r.Headers["Content-Type"] = "application/x-www-form-urlencoded"
		}
		if len(log.Expect) > 0 {
			r.Label = Attack
		}
		out = append(out, r)
	}
	return out, nil
}

// eachFile gives every regular file of a compressed tar to fn.
func eachFile(ctx context.Context, path string, fn func(name string, r io.Reader) error) error {
	f, err := ingest.OpenFile(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	t := tar.NewReader(f)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := fn(h.Name, t); err != nil {
			return err
		}
	}
}
