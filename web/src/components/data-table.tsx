import type { ComponentChildren } from "preact";

export type Column<Row> = {
  title: string;
  /** Numbers stand at the right. */
  align?: "end";
  /** Takes what is left, and may wrap. */
  grows?: boolean;
  cell: (row: Row) => ComponentChildren;
};

/**
 * A table; on a narrow screen each row is a card with the headers beside its values. The roles are there since
 * browsers take a table's own away when it is laid out otherwise.
 */
export function DataTable<Row>({
  caption,
  columns,
  rows,
  keyOf,
}: {
  /** For those who cannot see what the table is about. */
  caption: string;
  columns: Column<Row>[];
  rows: Row[];
  keyOf: (row: Row) => string;
}) {
  const classOf = ({ align, grows }: Column<Row>) =>
    [align === "end" ? "end" : "", grows === true ? "grows" : ""].join(" ").trim() || undefined;
  return (
    <div class="table-frame">
      <table role="table">
        <caption class="sr-only">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <th key={column.title} role="columnheader" scope="col" class={classOf(column)}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={keyOf(row)} role="row">
              {columns.map((column, index) =>
                index === 0 ? (
                  <th key={column.title} role="rowheader" scope="row" class={classOf(column)}>
                    {column.cell(row)}
                  </th>
                ) : (
                  <td key={column.title} role="cell" class={classOf(column)} data-label={column.title}>
                    {column.cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
