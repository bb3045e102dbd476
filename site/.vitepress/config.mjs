// The site is docs/ as it is. Its menu is the list of docs/README.md; links that leave docs lead to the repository.
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const docs = fileURLToPath(new URL('../../docs', import.meta.url))
const version = process.env.VERSION || 'main'
const versions = (process.env.VERSIONS || version).trim().split(/\s+/)
const repository = `https://github.com/regcred/regcred/blob/${version}`

// groups are the bold words of docs/README.md, each with the links up to the next one.
function groups() {
  const found = []
  for (const line of readFileSync(join(docs, 'README.md'), 'utf8').split('\n')) {
    const heading = line.match(/^\*\*(.+?)\*\*/)
    if (heading) found.push({ text: heading[1], collapsed: false, items: [] })
    for (const [, text, link] of line.matchAll(/\[([^\]]+)\]\(([^)#]+)\.md(?:#[^)]*)?\)/g)) {
      if (found.length > 0 && !link.startsWith('..')) found.at(-1).items.push({ text: text[0].toUpperCase() + text.slice(1), link: '/' + link })
    }
  }
  return found
}

// Links are written for readers of the repository, where some leave docs.
function leave(md) {
  md.core.ruler.push('leave', (state) => {
    const page = state.env.relativePath === 'index.md' ? 'README.md' : state.env.relativePath
    for (const token of state.tokens.flatMap((t) => t.children || [])) {
      const href = token.type === 'link_open' && token.attrGet('href')
      if (!href || /^([a-z]+:|#)/.test(href)) continue
      const [path, fragment] = href.split('#')
      const target = normalize(join('docs', dirname(page), path))
      if (!target.startsWith('docs/') || !path.endsWith('.md')) {
        token.attrSet('href', `${repository}/${target}${fragment ? '#' + fragment : ''}`)
      }
    }
  })
}

export default defineConfig({
  title: 'Regcred',
  description: 'Keeps the image pull Secrets of a Kubernetes cluster fresh',
  base: process.env.BASE || '/',
  srcDir: docs,
  outDir: fileURLToPath(new URL('../../dist/site', import.meta.url)),
  cacheDir: fileURLToPath(new URL('../.cache', import.meta.url)),
  rewrites: { 'README.md': 'index.md' },
  cleanUrls: true,
  ignoreDeadLinks: false,
  lastUpdated: false,
  markdown: { config: leave, languages: [{ name: 'promql', scopeName: 'source.promql', patterns: [] }] },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Choose', link: '/choose' },
      { text: 'Start', link: '/start/eks' },
      { text: 'Reference', link: '/reference/api' },
      { text: version, items: versions.map((v) => ({ text: v, link: `https://regcred.github.io/regcred/${v}/` })) },
    ],
    sidebar: groups(),
    socialLinks: [{ icon: 'github', link: 'https://github.com/regcred/regcred' }],
    footer: { message: 'Apache License 2.0' },
  },
})
