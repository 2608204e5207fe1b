package importfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const connectTimeout = 15 * time.Second

// tables are the tables of the form.
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

// columns are all columns that the form reads. No other column leaves the database.
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

func databaseSources(f Form, address string, tables []string) ([]Source, error) {
	config, err := pgconn.ParseConfig(withoutDriverSettings(address))
	if err != nil {
		return nil, fmt.Errorf("the database's URL: %w", err)
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.RuntimeParams["client_encoding"] = "UTF8"
	config.RuntimeParams["application_name"] = "dodogate import"
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

// beginReadOnly opens the transaction in which a table is read. The settings are not sent as
// connection parameters, because PgBouncer and the poolers of hosted databases refuse those.
const beginReadOnly = "BEGIN READ ONLY; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'"

// serverSettings are the parameters of a URL that pgconn sends to the server and that select
// the tables.
var serverSettings = []string{"search_path", "options"}

// clientSettings are the parameters that pgconn uses itself, such as sslmode.
var clientSettings = []string{
	"host", "port", "database", "dbname", "user", "password", "passfile", "connect_timeout", "sslmode", "sslkey", "sslcert",
	"sslrootcert", "sslnegotiation", "sslpassword", "sslsni", "krbspn", "krbsrvname", "target_session_attrs", "service", "servicefile",
	"channel_binding", "require_auth", "min_protocol_version", "max_protocol_version",
}

// withoutDriverSettings is the URL without parameters for other drivers, which the server
// would refuse: pgbouncer and schema of Prisma, ssl of asyncpg and of JavaScript, and others.
// ssl becomes sslmode, and schema the search_path.
func withoutDriverSettings(address string) string {
	base, text, found := strings.Cut(address, "?")
	if !found {
		return address
	}
	given, err := url.ParseQuery(text)
	if err != nil {
		return address // pgconn reports the error
	}
	kept := url.Values{}
	for name, values := range given {
		switch {
		case slices.Contains(clientSettings, name) || slices.Contains(serverSettings, name):
			kept[name] = values
		case name == "ssl" && !given.Has("sslmode"):
			kept.Set("sslmode", sslMode(given.Get(name)))
		case name == "schema" && !given.Has("search_path"):
			kept.Set("search_path", pgx.Identifier{given.Get(name)}.Sanitize())
		}
	}
	return base + "?" + kept.Encode()
}

// sslMode is libpq's value for what other drivers call ssl.
func sslMode(ssl string) string {
	switch strings.ToLower(ssl) {
	case "true", "1", "on", "yes", "":
		return "require"
	case "false", "0", "off", "no":
		return "disable"
	default:
		return ssl
	}
}

// openTable makes the server send the table as CSV. It is streamed, not buffered.
func openTable(f Form, config *pgconn.Config, name string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(context.Background())
	db, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	t := &databaseTable{cancel: cancel, done: make(chan struct{})}
	query := ""
	if _, err = db.Exec(ctx, beginReadOnly).ReadAll(); err == nil {
		query, err = f.selectQuery(ctx, db, name)
	}
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

// selectQuery is the query for the columns of the table that the form reads.
func (f Form) selectQuery(ctx context.Context, db *pgconn.PgConn, table string) (string, error) {
	from := pgx.Identifier(strings.Split(table, ".")).Sanitize()
	described, err := db.Prepare(ctx, "", "SELECT * FROM "+from, nil)
	if err != nil {
		return "", err
	}
	var names []string
	for _, field := range described.Fields {
		if slices.Contains(f.columns(), strings.ToLower(field.Name)) {
			name := pgx.Identifier{field.Name}.Sanitize()
			if field.DataTypeOID == pgtype.BPCharOID { // char(n) is padded with spaces
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

// databaseTable is a table that is being read.
type databaseTable struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close cancels the query and waits until it has stopped.
func (t *databaseTable) Close() error {
	t.cancel()
	err := t.PipeReader.Close()
	<-t.done
	return err
}
