/** The export formats. */
import type { Exporter } from './exporter.ts';
import { jsonlBundleExporter } from './jsonl-bundle.ts';

export const EXPORTERS: readonly Exporter[] = [jsonlBundleExporter];

/** The exporter of a name. */
export function findExporter(name: string): Exporter | undefined {
  return EXPORTERS.find((exporter) => exporter.name === name);
}
