// Find: shortens secrets and tokens before a form is sent, so that they never leave the browser. The server does the same to
// what it receives without this script.
(() => {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const secret = /([a-z0-9]{2,16})_([0-9A-Za-z]{16})_([0-9A-Za-z]+)/g;
  const token = /eyJ[\w-]*\.[\w-]+\.[\w-]+/g;

  // The CRC-32 of an ASCII text in six base62 digits, as at the end of a secret.
  function checksum(text) {
    let crc = 0xffffffff;
    for (let place = 0; place < text.length; place++) {
      crc ^= text.charCodeAt(place);
      for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    }
    let number = (crc ^ 0xffffffff) >>> 0;
    let written = "";
    for (let place = 0; place < 6; place++) {
      written = digits[number % 62] + written;
      number = Math.floor(number / 62);
    }
    return written;
  }

  function shortenSecret(_, prefix, id, rest) {
    if (rest.length !== 49) return id;
    const isValid = checksum(`${prefix}_${id}_${rest.slice(0, 43)}`) === rest.slice(43);
    return `${prefix}_${id}_...${rest.slice(-4)} (checksum ${isValid ? "valid" : "invalid"})`;
  }

  function shortenToken(text) {
    try {
      const { sub, jti, exp } = JSON.parse(atob(text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
      if (/^[0-9A-Za-z]{16}$/.test(sub) && /^[\w.-]{1,64}$/.test(jti) && Number.isInteger(exp)) {
        return `token(sub=${sub},jti=${jti},exp=${exp})`;
      }
    } catch {
      // Not a token.
    }
    return "(unreadable token)";
  }

  const shorten = text => text.replace(token, shortenToken).replace(secret, shortenSecret);

  function shortenField(field) {
    const shortened = shorten(field.value);
    if (shortened !== field.value) field.value = shortened;
  }

  const isSearch = field => field.matches("form[data-find] :is(textarea, input[type=search])");

  // Before the form is sent, whatever else listens; and as soon as it is pasted, so that nobody reads it from the screen.
  document.addEventListener("submit", event => {
    if (event.target.matches("form[data-find]")) [...event.target.elements].filter(isSearch).forEach(shortenField);
  }, true);
  document.addEventListener("input", event => {
    if (isSearch(event.target) && /^insertFrom/.test(event.inputType ?? "")) shortenField(event.target);
  });
})();
