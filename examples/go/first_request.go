// A first request from Go, with pgx 5: DATABASE_URL=... go run first_request.go
//
// The README shows the same lines.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
)

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string) error {
	db, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close(ctx)

	var id string
	err = db.QueryRow(ctx,
		`select llmq.submit_llm_request(agent_id => $1, task_type => $2, messages => $3)`,
		"support", "summary", `[{"role": "user", "content": "Summarise ticket 7: ..."}]`,
	).Scan(&id)
	if err != nil {
		return err
	}
	_, err = db.Exec(ctx, `call llmq.wait_for_llm_request($1, '60 s')`, id)
	if err != nil {
		return err
	}
	var status string
	var answer *string // null when the request failed
	err = db.QueryRow(ctx, `select status, response from llmq.get_llm_request($1)`, id).Scan(&status, &answer)
	if err != nil {
		return err
	}

	fmt.Println(status)
	if answer != nil {
		fmt.Println(*answer)
	}
	return nil
}
