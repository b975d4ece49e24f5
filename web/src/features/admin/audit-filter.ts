import type { AuditFilter } from '@/api/admin'

const id = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** As it is typed: people know names, the record has ids. */
export interface AuditWords {
  action: string
  actor: string
  target: string
  outcome: string
}

/** A user by id, or as the API has names. */
function user(text: string): string {
  return id.test(text) || text.startsWith('@') ? text : `@${text}`
}

export function auditFilter(words: AuditWords): AuditFilter {
  const [action, actor, target] = [words.action.trim(), words.actor.trim(), words.target.trim()]
  return {
    action: action || undefined,
    actor: actor ? user(actor) : undefined,
    target: !target ? undefined : target.includes(':') ? target : `user:${user(target)}`,
    outcome: words.outcome || undefined,
  }
}
