// The ledger's filter: rows that have all the words that were typed.
const rows = [...document.querySelectorAll("article table tbody tr")];
const input = document.getElementById("claims");
const output = document.querySelector(".filter output");

function filter() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += row.hidden ? 0 : 1;
  }
  output.textContent = `${shown} of ${rows.length} claims`;
}

input.addEventListener("input", filter);
filter();
