// Swagger UI as its user meets it: authorise, then run requests signed in. Usage: node swagger.mjs <base> <token> <variant> <screenshot>
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [base, token, variant, screenshot] = process.argv.slice(2);
const { chromium } = await import('playwright-core').catch(() => {
  console.error('playwright-core is missing: run `npm ci` in tests/browser');
  process.exit(1);
});
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));
if (!executablePath) {
  console.error('Chromium is missing: apt-get install chromium, or name it in CHROMIUM');
  process.exit(1);
}

const profile = mkdtempSync(join(tmpdir(), 'swagger-'));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: 1280, height: 1600 },
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--no-proxy-server', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});

async function execute(page, tag, operation, body) {
  const block = page.locator(`#operations-${tag}-${operation}`);
  await block.locator('.opblock-summary-control').click();
  const tryOut = block.locator('.try-out__btn:not(.cancel)');
  await block.locator('.try-out__btn').waitFor();
  if (await tryOut.count()) await tryOut.click();
  if (body) await block.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await block.locator('.btn.execute').click();
  const status = block.locator('.live-responses-table .response-col_status').nth(1);
  await status.waitFor();
  assert.equal((await status.innerText()).trim().split(/\s/)[0], '200', `${operation}: ${await block.innerText()}`);
  return block.locator('.live-responses-table').innerText();
}

try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60_000);
  const complaints = [];
  const outside = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  browser.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base && protocol !== 'data:' && protocol !== 'blob:') outside.push(request.url());
  });

  await page.goto(`${base}/docs`);
  await page.locator('.opblock').first().waitFor();
  await page.locator('.auth-wrapper .btn.authorize').click();
  await page.locator('#auth-bearer-value, [aria-label="auth-bearer-value"]').first().fill(token);
  const bearer = page.locator('.auth-container', { has: page.locator('#auth-bearer-value, [aria-label="auth-bearer-value"]') });
  await bearer.getByRole('button', { name: 'Apply credentials' }).click();
  await page.locator('.modal-ux .btn-done').first().click();

  assert.match(await execute(page, 'Catalogue', 'list_products'), /next_cursor/);
  assert.match(await execute(page, 'Account', 'get_me'), /mia@example\.com/);
  assert.match(await execute(page, 'Cart', 'add_cart_item', { variant_id: variant, quantity: 1 }), /grand_total/);
  await page.locator('#operations-Account-get_me').scrollIntoViewIfNeeded();
  await page.screenshot({ path: screenshot });

  assert.equal(await page.locator('.errors-wrapper').count(), 0, 'Swagger UI finds faults in the specification');
  assert.deepEqual(outside, [], 'requests that left the origin');
  assert.deepEqual(complaints, [], 'errors in the console');
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log('Swagger UI works');
