package importfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const connectTimeout = 15 * time.Second

// tables are those of the form.
func (f Form) tables() []string {
	switch f {
	case Express:
		return []string{"profiles", "credit_purchases"}
	case FastAPI:
		return []string{"users"}
	default:
		return nil
	}
}

// columns are all that the form reads. No other column leaves the database.
func (f Form) columns() []string {
	dodo := []string{"customer_id", "dodo_customer_id", "subscription_id", "dodo_subscription_id"}
	switch f {
	case Express:
		return append(dodo, "id", "user_id", "credits", "payment_id", "purchase_date")
	case FastAPI:
		return append(dodo, "id", "has_paid", "payment_date", "dodo_payment_id", "subscription_plan", "plan_expires_at")
	default:
		return Columns
	}
}

func databaseSources(f Form, url string, tables []string) ([]Source, error) {
	config, err := pgconn.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"timezone": "UTC", "datestyle": "ISO", "client_encoding": "UTF8",
		"default_transaction_read_only": "on", "application_name": "dodogate import",
	} {
		config.RuntimeParams[name] = value
	}
	if len(tables) == 0 {
		tables = f.tables()
	}
	if len(tables) == 0 {
		return nil, errors.New("name the table: --table <name>")
	}
	var sources []Source
	for _, name := range tables {
		sources = append(sources, Source{
			Name: "table " + name,
			Open: func() (io.ReadCloser, error) { return openTable(f, config, name) },
		})
	}
	return sources, nil
}

// openTable has the server write the table as CSV, which comes as it is read.
func openTable(f Form, config *pgconn.Config, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(context.Background())
	db, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	t := &databaseTable{cancel: cancel, done: make(chan struct{})}
	query, err := f.selects(ctx, db, name)
	if err != nil {
		cancel()
		_ = db.Close(context.Background())
		return nil, fmt.Errorf("table %s: %w", name, err)
	}
	var write *io.PipeWriter
	t.PipeReader, write = io.Pipe()
	go func() {
		defer close(t.done)
		_, err := db.CopyTo(ctx, write, "COPY ("+query+") TO STDOUT WITH (FORMAT csv, HEADER)")
		_ = write.CloseWithError(err)
		_ = db.Close(context.Background())
	}()
	return t, nil
}

// selects is the query for the columns of the table that the form knows.
func (f Form) selects(ctx context.Context, db *pgconn.PgConn, table string) (string, error) {
	from := pgx.Identifier(strings.Split(table, ".")).Sanitize()
	described, err := db.Prepare(ctx, "", "SELECT * FROM "+from, nil)
	if err != nil {
		return "", err
	}
	var names []string
	for _, field := range described.Fields {
		if slices.Contains(f.columns(), strings.ToLower(field.Name)) {
			name := pgx.Identifier{field.Name}.Sanitize()
			if field.DataTypeOID == pgtype.BPCharOID { // char(n) is filled up with spaces
				name = name + "::text AS " + name
			}
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", errors.New("it has none of the columns that are read")
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + from, nil
}

// databaseTable is a table on its way.
type databaseTable struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the query and waits for its end.
func (t *databaseTable) Close() error {
	t.cancel()
	err := t.PipeReader.Close()
	<-t.done
	return err
}
