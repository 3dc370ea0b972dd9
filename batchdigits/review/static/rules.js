"use strict";
// What may be in a field; `correct` checks the same again.
function isDay(form, digits) {
  if (digits.length !== form.length) return false;
  const part = { D: 0, M: 0, Y: 0 };
  for (let at = 0; at < form.length; at++) part[form[at]] = part[form[at]] * 10 + Number(digits[at]);
  const year = form.includes("YYYY") ? part.Y : part.Y + 2000;
  if (part.M < 1 || part.M > 12 || !year) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const days = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return part.D >= 1 && part.D <= days[part.M - 1];
}
const CHECKS = {
  luhn(digits) {
    let sum = 0;
    [...digits].reverse().forEach((sign, at) => {
      const twice = Number(sign) * (at % 2 ? 2 : 1);
      sum += twice > 9 ? twice - 9 : twice;
    });
    return sum % 10 === 0;
  },
  mod11(digits) {
    return [...digits].reverse().reduce((sum, sign, at) => sum + (at % 10 + 1) * Number(sign), 0) % 11 === 0;
  },
  mod97(digits) { return BigInt(digits) % 97n === 1n; },
};
function brokenRule(rule, value) {
  if (!rule || !value) return "";
  const digits = value.replace(".", "");
  if (rule.pattern && digits.length <= 24) {
    try {
      if (!new RegExp(`^(?:${rule.pattern})$`).test(digits)) return `does not match ${rule.pattern}`;
    } catch (fault) { /* a pattern that this browser does not know: `correct` checks it */ }
  }
  if (rule.cells && digits.length > rule.cells) return `has more than ${rule.cells} digits`;
  if (rule.date && !isDay(rule.date, digits)) return `is no day, written ${rule.date}`;
  const number = Number(digits) / 10 ** (rule.decimals || 0);
  if (rule.min !== undefined && number < rule.min) return `is under ${rule.min}`;
  if (rule.max !== undefined && number > rule.max) return `is over ${rule.max}`;
  if (rule.check && !CHECKS[rule.check](digits)) return `has a wrong check digit (${rule.check})`;
  return "";
}
// What a typed text makes of a reading: a whole value, or of a long one the doubtful digits alone.
// A text of a third of the digits or more is a whole value: a reading may have digits too many.
function combine(item, typed) {
  let text = typed.trim().replace(",", ".");
  if (!/^[0-9]{1,64}(\.[0-9]{1,64})?$/.test(text)) return null;
  const doubtful = item.doubtful || [], value = item.value;
  const long = value.replace(".", "").length;
  if (!text.includes(".") && text.length <= doubtful.length && 3 * text.length < long) {
    const signs = [...value];
    const places = doubtful.slice(0, text.length).sort((a, b) => a - b);
    [...text].forEach((sign, at) => { signs[places[at]] = sign; });
    return signs.join("");
  }
  const decimals = item.rule && item.rule.decimals;
  if (decimals && !text.includes(".")) {
    text = text.padStart(decimals + 1, "0");
    return `${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
  }
  return text;
}
