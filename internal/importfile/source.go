package importfile

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Source is a file or a table. It may be opened again and again.
type Source struct {
	Name string // for people; without a password
	Open func() (io.ReadCloser, error)
}

// Sources finds what an argument names: a CSV file, or by a URL the tables of a PostgreSQL
// database, which are those of the form unless others are named.
func Sources(f Form, arg string, tables []string) ([]Source, error) {
	if strings.HasPrefix(arg, "postgres://") || strings.HasPrefix(arg, "postgresql://") {
		return databaseSources(f, arg, tables)
	}
	return []Source{{Name: arg, Open: func() (io.ReadCloser, error) {
		file, err := os.Open(arg)
		if err != nil {
			return nil, err
		}
		if info, err := file.Stat(); err == nil && info.IsDir() {
			_ = file.Close()
			return nil, fmt.Errorf("%s is a directory", arg)
		}
		return file, nil
	}}}, nil
}
