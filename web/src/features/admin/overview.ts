import type { Overview, OverviewNode } from '@/api/types'

/** A node is heard every few seconds; one that is silent for longer may be gone. */
const silentTooLong = 30
/** Less free than that, and recordings end soon. */
const littleDisk = 0.1

export function isSilent(node: OverviewNode): boolean {
  return !node.this && node.silent_s > silentTooLong
}

/** Share of the disk that is used; null: the node does not tell. */
export function diskUsed({ disk_free_bytes: free, disk_total_bytes: total }: OverviewNode): number | null {
  return free === undefined || !total ? null : 1 - free / total
}

export function isDiskFull(node: OverviewNode): boolean {
  const used = diskUsed(node)
  return used !== null && used > 1 - littleDisk
}

/** What of the site is not as it should be, by the names of its messages. */
export function troubles({ db, blob, errors_5m, nodes, alerts }: Overview): string[] {
  return [
    ...(alerts.some(({ acked_at }) => acked_at === null) ? ['alerts'] : []),
    ...(db.latency_ms === null ? ['database'] : []),
    ...(blob.state === 'failing' ? ['bucket'] : []),
    ...(errors_5m > 0 ? ['errors'] : []),
    ...(nodes.some(isSilent) ? ['silent'] : []),
    ...(nodes.some(isDiskFull) ? ['disk'] : []),
  ]
}
