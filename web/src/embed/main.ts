import { createApp } from 'vue'
import '@/styles/embed.css'
import { i18n, startI18n } from '@/i18n'
import EmbedPage from './EmbedPage.vue'

document.documentElement.dataset.theme = 'dark'
await startI18n()
createApp(EmbedPage).use(i18n).mount('#app')
