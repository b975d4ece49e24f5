package transfer

import (
	"context"
	"fmt"
	"strings"
)

// What PostgreSQL tells of its tables: those of the schema that unqualified names mean.
const (
	pgColumns = `SELECT r.relname, a.attname, t.typname, t.typtype::text, COALESCE(e.typname, ''),
			COALESCE(pg_get_serial_sequence(quote_ident(r.relname), a.attname), ''), format_type(a.atttypid, a.atttypmod)
		FROM pg_class r
		JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
		WHERE r.relkind IN ('r', 'p') AND NOT r.relispartition AND r.relnamespace = current_schema()::regnamespace
		ORDER BY r.relname, a.attnum`
	pgKeys = `SELECT r.relname, a.attname
		FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid
		CROSS JOIN unnest(c.conkey) WITH ORDINALITY k(num, place)
		JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.num
		WHERE c.contype = 'p' AND r.relnamespace = current_schema()::regnamespace
		ORDER BY r.relname, k.place`
	pgReferences = `SELECT r.relname, f.relname
		FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
		WHERE c.contype = 'f' AND r.relnamespace = current_schema()::regnamespace`
)

func describePostgres(ctx context.Context, q querier) (map[string]*Table, error) {
	found := make(map[string]*Table)
	err := ask(ctx, q, pgColumns, nil, func(scan func(...any) error) error {
		var table, kind, sequence string
		c := pgColumn{}
		if err := scan(&table, &c.name, &kind, &c.class, &c.element, &sequence, &c.declared); err != nil {
			return err
		}
		if excluded[table] != "" {
			return nil
		}
		t := found[table]
		if t == nil {
			t = &Table{Name: table}
			found[table] = t
		}
		column, err := c.column(kind)
		if err != nil {
			return fmt.Errorf("%s.%w", table, err)
		}
		t.Columns = append(t.Columns, column)
		if sequence != "" {
			t.Counter = c.name
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	keys := make(map[string][]string)
	err = ask(ctx, q, pgKeys, nil, func(scan func(...any) error) error {
		var table, column string
		err := scan(&table, &column)
		keys[table] = append(keys[table], column)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = ask(ctx, q, pgReferences, nil, func(scan func(...any) error) error {
		var table, to string
		err := scan(&table, &to)
		if t := found[table]; t != nil {
			t.refers = append(t.refers, to)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for name, t := range found {
		if err := t.arrange(keys[name]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

type pgColumn struct{ name, class, element, declared string }

// column says how a type is read and written.
func (c pgColumn) column(kind string) (Column, error) {
	out := Column{Name: c.name, read: "%s", write: "%s"}
	switch {
	case c.element == "jsonb" || c.element == "json":
		out.Kind, out.read = JSON, "to_jsonb(%s)::text"
		out.write = "CASE WHEN jsonb_typeof(%[1]s::text::jsonb) = 'array' THEN ARRAY(SELECT jsonb_array_elements(%[1]s::text::jsonb))::" + c.declared + " END"
	case c.element == "text" || c.element == "varchar":
		out.Kind, out.read = JSON, "to_jsonb(%s)::text"
		out.write = "CASE WHEN jsonb_typeof(%[1]s::text::jsonb) = 'array' THEN ARRAY(SELECT jsonb_array_elements_text(%[1]s::text::jsonb))::" + c.declared + " END"
	case c.class == "e" || kind == "uuid":
		out.Kind, out.read, out.write = Text, "%s::text", "%s::text::"+c.declared
	case kind == "bool":
		out.Kind, out.boolean = Int, true
	case kind == "int2" || kind == "int4" || kind == "int8":
		out.Kind = Int
	case kind == "bit":
		out.Kind, out.read, out.write = Int, "%s::int", "%s::int::"+c.declared
	case kind == "text" || kind == "varchar" || kind == "bpchar":
		out.Kind, out.collate = Text, ` COLLATE "C"`
	case kind == "bytea":
		out.Kind = Bytes
	case kind == "json" || kind == "jsonb":
		out.Kind, out.read, out.write = JSON, "%s::text", "%s::text::"+kind
	case kind == "timestamptz":
		out.Kind = Time
	case kind == "float4" || kind == "float8":
		out.Kind = Float
	default:
		return out, fmt.Errorf("%s is %s, which this program cannot move", c.name, strings.TrimSpace(c.declared))
	}
	return out, nil
}
