import { i18n } from '@/i18n'
import player from '@/i18n/en/player.json'

// English, to which the other languages fall back, comes with the player; what these say is in their own file.
i18n.global.mergeLocaleMessage('en', { player })
