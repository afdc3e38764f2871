export const name = "warren";
