/** Writes a query in its normal form: what is stored with a saved search, so that it means the same when it is run again. */
import { isPlainWord } from './query-lexer.ts';
import type { ProximityOperand, Query, QueryNode, TextField } from './query-types.ts';

/**
 * The normal form of a query: operators spelled out, times as instants. Reading it again gives the same tree.
 * @returns text for `parseQuery`; empty for the query that finds everything
 */
export function formatQuery(query: Query): string {
  return query.root.kind === 'all' ? '' : formatNode(query.root);
}

function formatNode(node: QueryNode): string {
  switch (node.kind) {
    case 'all':
      return '';
    case 'and':
      return node.parts
        .map((part) => (part.kind === 'or' || part.kind === 'and' ? `(${formatNode(part)})` : formatNode(part)))
        .join(' AND ');
    case 'or':
      return node.parts.map((part) => (part.kind === 'or' ? `(${formatNode(part)})` : formatNode(part))).join(' OR ');
    case 'not':
      return `NOT ${node.part.kind === 'and' || node.part.kind === 'or' ? `(${formatNode(node.part)})` : formatNode(node.part)}`;
    case 'near':
      return `${formatOperand(node.left)} ${node.ordered ? 'pre' : 'w'}/${node.distance} ${formatOperand(node.right)}`;
    case 'word':
      return formatWord(node.field, node.text);
    case 'phrase':
      return formatField(node.field) + quote(node.text) + (node.prefix ? '*' : '');
    case 'loose':
      return `${quote(node.text)}~${node.between}`;
    case 'prefix':
      return formatWord(node.field, `${node.text}*`);
    case 'wildcard':
      return formatWord(node.field, node.pattern);
    case 'fuzzy':
      return formatWord(node.field, `${node.text}~${node.distance}`);
    case 'number':
      return `${node.field}:${node.international ? '+' : ''}${node.digits}`;
    case 'value':
      return `${node.field}:${formatValue(node.value)}${node.prefix ? '*' : ''}`;
    case 'state':
      return `status:${formatValue(node.value)}`;
    case 'date':
      return formatDate(node);
  }
}

function formatOperand(operand: ProximityOperand): string {
  return operand.kind === 'or' ? `(${operand.parts.map(formatOperand).join(' OR ')})` : formatNode(operand);
}

function formatField(field: TextField): string {
  return field === 'body' ? '' : `${field}:`;
}

/** `body:-5` or `body:AND` would be something else without the name of the field. */
function formatWord(field: TextField, text: string): string {
  return field === 'body' && !isPlainWord(text) ? `body:${text}` : formatField(field) + text;
}

function quote(text: string): string {
  return `"${text.replaceAll(/["“”„\\]/g, String.raw`\$&`)}"`;
}

function formatValue(value: string): string {
  return /^[A-Za-z0-9._+@-]+$/.test(value) ? value : quote(value);
}

function formatDate(node: Extract<QueryNode, { kind: 'date' }>): string {
  const { fromMs, toMs } = node;
  const from = fromMs === undefined ? '' : new Date(fromMs).toISOString();
  if (toMs === undefined) return `date>=${from}`;
  // An instant with milliseconds names the one millisecond, so the last one inside is written.
  const last = new Date(toMs - 1).toISOString();
  return fromMs === undefined ? `date<=${last}` : `date:${from}..${last}`;
}
