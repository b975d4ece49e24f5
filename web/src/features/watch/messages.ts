import { i18n } from '@/i18n'
import watch from '@/i18n/en/watch.json'

// As with the player: src/player/messages.ts.
i18n.global.mergeLocaleMessage('en', { watch })
