package check_test

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestLabels renders the labels of the app as caddy-docker-proxy does, and compares them with
// Rendered.Caddyfile, which make validate checks.
func TestLabels(t *testing.T) {
	project, err := load(t, "../docker-proxy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root := &block{}
	for label, value := range project.Services["app"].Labels {
		at := root
		for name := range strings.SplitSeq(label, ".") {
			at = at.child(name)
		}
		at.arguments = value
	}
	var site strings.Builder
	site.WriteString(read(t, "docker-proxy/gateway/Caddyfile") + "\n")
	for _, b := range root.children {
		b.name = "" // the label prefix
		b.write(&site, 0)
	}
	if want := read(t, "docker-proxy/Rendered.Caddyfile"); site.String() != want {
		t.Errorf("the labels are\n%s\nRendered.Caddyfile is\n%s", site.String(), want)
	}
}

// TestLabelRecipe builds the same Caddy and dodogate as the recipe of releases.
func TestLabelRecipe(t *testing.T) {
	type recipe struct {
		Caddy   string `json:"caddy_version"`
		Plugins []struct {
			Module  string `json:"module_path"`
			Version string
		}
	}
	var released, labels recipe
	for file, into := range map[string]*recipe{"../xcaddy.json": &released, "docker-proxy/xcaddy.json": &labels} {
		if err := json.Unmarshal([]byte(read(t, file)), into); err != nil {
			t.Fatal(err)
		}
	}
	if labels.Caddy != released.Caddy || labels.Plugins[0] != released.Plugins[0] || len(labels.Plugins) != 2 {
		t.Errorf("the recipe is %+v, that of releases is %+v", labels, released)
	}
}

// block is a directive made of labels. Labels with numbers, which caddy-docker-proxy sorts and
// keeps apart, are not used here.
type block struct {
	name, arguments string
	children        []*block
}

func (b *block) child(name string) *block {
	for _, c := range b.children {
		if c.name == name {
			return c
		}
	}
	c := &block{name: name}
	b.children = append(b.children, c)
	return c
}

func (b *block) write(w *strings.Builder, level int) {
	w.WriteString(strings.Repeat("\t", level) + strings.TrimSpace(b.name+" "+b.arguments))
	if len(b.children) > 0 {
		w.WriteString(" {\n")
		slices.SortFunc(b.children, func(a, b *block) int { return cmp.Compare(a.name, b.name) })
		for _, c := range b.children {
			c.write(w, level+1)
		}
		w.WriteString(strings.Repeat("\t", level) + "}")
	}
	w.WriteString("\n")
}
