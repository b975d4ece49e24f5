import { expect, it } from 'vitest'
import type { Alert, Overview, OverviewNode } from '@/api/types'
import { diskUsed, isSilent, troubles } from './overview'

const node: OverviewNode = {
  id: 'one',
  this: true,
  started_at: '2026-03-01T12:00:00.000Z',
  uptime_s: 10,
  silent_s: 0,
  disk_free_bytes: 40,
  disk_total_bytes: 100,
}
const well: Overview = {
  nodes: [node],
  streams: { starting: 0, live: 1, reconnecting: 0 },
  viewers: 1,
  in_bps: 1,
  out_bps: 1,
  db: {
    engine: 'sqlite',
    latency_ms: 1,
    pool: { in_use: 0, idle: 1, waits: 0 },
    replica_lag_ms: null,
    replicas: [],
  },
  cache: { hit_ratio: null, entries: 0 },
  blob: { state: 'none', queue: 0 },
  errors_5m: 0,
  active_users: { '5m': 1, '1d': 1, '30d': 1 },
  interactions_24h: 0,
  jobs: { waiting: 0, running: 0, failed: 0 },
  stream_alerts: [],
  alerts: [],
}

const alert: Alert = {
  id: 'a',
  rule: 'MediadDiskLow',
  severity: 'warning',
  summary: '',
  labels: {},
  node: 'one',
  state: 'firing',
  resolution: null,
  value: 1,
  fired_at: '2026-03-01T12:00:00.000Z',
  resolved_at: null,
  acked_at: null,
  acked_by: null,
}

it('finds nothing where all is well', () => {
  expect(troubles(well)).toEqual([])
  expect(diskUsed(node)).toBeCloseTo(0.6)
  expect(diskUsed({ ...node, disk_total_bytes: 0 })).toBeNull()
})

it('names what is not', () => {
  const away = { ...node, this: false, silent_s: 31 }
  expect(isSilent(away)).toBe(true)
  expect(
    troubles({
      ...well,
      nodes: [{ ...node, disk_free_bytes: 9 }, away],
      db: { ...well.db, latency_ms: null },
      blob: { state: 'failing', queue: 7 },
      errors_5m: 3,
      alerts: [{ ...alert, acked_at: '2026-03-01T12:00:00.000Z' }, alert],
    }),
  ).toEqual(['alerts', 'database', 'bucket', 'errors', 'silent', 'disk'])
})
