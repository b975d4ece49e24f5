/** The fields of api.md 4.9, 4.16 that these pages read. */
export type StreamState = 'idle' | 'live' | 'reconnecting' | 'disabled'

export interface Stream {
  id: string
  slug: string
  title: string
  description?: string
  state: StreamState
  session?: { started_at?: string } | null
  thumbnail_url?: string
  viewers?: number
  owner?: { username?: string; display_name?: string } | null
}

export interface Page<T> {
  items: T[]
  next_cursor: string | null
}

export interface SiteConfig {
  site_name?: string
  ingest?: { rtmp_url?: string }
}
