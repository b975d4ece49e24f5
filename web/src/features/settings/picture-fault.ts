import type { ApiError } from '@/api/client'
import type { Fault } from '@/ui/form'

/** What is wrong with a picture, with the numbers that the server names; null: the refusal is not about the picture. */
export function pictureFault({ code, fields, more }: ApiError): Fault | null {
  if (code === 'unsupported_media_type') return { code: 'picture_kind' }
  if (code === 'payload_too_large') return tooLarge(more.max_bytes)
  const field = fields.find(({ pointer }) => pointer === '/file')
  if (!field) return null
  const { min, max, message } = field
  if (field.code === 'out_of_range') {
    return min === undefined || max === undefined
      ? { code: 'picture_costly', message }
      : { code: 'picture_sides', min, max }
  }
  return field.code === 'invalid_format' ? { code: 'picture_broken', message } : field
}

export function tooLarge(bytes = 5 << 20): Fault {
  return { code: 'picture_large', max: bytes / 2 ** 20 }
}
