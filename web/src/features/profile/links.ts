import type { UserLink } from '@/api/types'

/** Links that a click may follow: the server takes http and https alone, and the page relies on nobody for that. */
export function safeLinks(links: readonly UserLink[]): UserLink[] {
  return links.filter(({ url }) => /^https?:\/\//i.test(url))
}
