-- What every Redshift database of the laptop platform begins with: functions whose answers differ between Redshift and PostgreSQL, and
-- the system views. A function raises where it is not known which answer Redshift gives: an error is not a different answer.
SET check_function_bodies = off;
CREATE SCHEMA _rs;

CREATE FUNCTION _rs.refuse(what text, instead text) RETURNS void LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE EXCEPTION '% is not served by the laptop platform. %', what, instead USING ERRCODE = '0A000';
END $$;

-- ---- numbers --------------------------------------------------------------------------------------------------------------
-- Every pair of types has a function of its own, as Redshift's table of return types has it: REAL with another type gives DOUBLE PRECISION.
CREATE FUNCTION _rs.div(a smallint, b smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT (a / b)::smallint';
CREATE FUNCTION _rs.div(a smallint, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a smallint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a int, b smallint) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a int, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a bigint, b smallint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a bigint, b int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a bigint, b bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a real, b real) RETURNS real LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a / b';
CREATE FUNCTION _rs.div(a real, b smallint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a smallint, b real) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a float8, b smallint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a smallint, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a real, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a int, b real) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a float8, b int) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a int, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a real, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a bigint, b real) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a float8, b bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a bigint, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a real, b numeric) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a numeric, b real) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a float8, b numeric) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a numeric, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a real, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a float8, b real) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT a::float8 / b::float8';
CREATE FUNCTION _rs.div(a numeric, b numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF a IS NULL OR b IS NULL THEN RETURN NULL; END IF;
  PERFORM _rs.refuse('a division of DECIMAL values whose precision is not written in the statement',
    'Write CAST(a AS DECIMAL(p,s)) / CAST(b AS DECIMAL(p,s)), or divide as DOUBLE PRECISION');
END $$;
CREATE FUNCTION _rs.div(a numeric, b smallint) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';
CREATE FUNCTION _rs.div(a smallint, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';
CREATE FUNCTION _rs.div(a numeric, b int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';
CREATE FUNCTION _rs.div(a int, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';
CREATE FUNCTION _rs.div(a numeric, b bigint) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';
CREATE FUNCTION _rs.div(a bigint, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.div(a::numeric, b::numeric)';

-- Digits of a decimal result: whether Redshift rounds or cuts the digits beyond the scale is not documented, so only what is the same is given.
CREATE FUNCTION _rs.scaled(x numeric, digits int, what text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF round(x, digits) <> trunc(x, digits) THEN
    PERFORM _rs.refuse(what || ' whose result depends on rounding at ' || digits || ' digits', 'Compute it as DOUBLE PRECISION, then ROUND');
  END IF;
  RETURN round(x, digits);
END $$;
CREATE FUNCTION _rs.decimal_div(a numeric, b numeric, digits int) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE q numeric;
BEGIN
  IF a IS NULL OR b IS NULL THEN RETURN NULL; END IF;
  q := round(a, digits + 10) / b;
  RETURN _rs.scaled(q, digits, 'a division of DECIMAL values');
END $$;
CREATE FUNCTION _rs.quotient(total bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT total / nullif(n, 0)';
CREATE FUNCTION _rs.quotient(total float8, n bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT total / nullif(n, 0)';
CREATE FUNCTION _rs.quotient(total numeric, n bigint) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF total IS NULL OR n = 0 THEN RETURN NULL; END IF;
  RETURN _rs.scaled(round(total, scale(total) + 20) / n, scale(total), 'AVG of DECIMAL values');
END $$;

CREATE AGGREGATE _rs.sum(smallint) (sfunc = int2_sum, stype = bigint);
CREATE AGGREGATE _rs.sum(int) (sfunc = int4_sum, stype = bigint);
CREATE AGGREGATE _rs.sum(bigint) (sfunc = int8pl, stype = bigint);
CREATE AGGREGATE _rs.sum(numeric) (sfunc = numeric_add, stype = numeric);
CREATE AGGREGATE _rs.sum(float8) (sfunc = float8pl, stype = float8);

CREATE FUNCTION _rs.round(x smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.round(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.round(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.round(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round(x)';
CREATE FUNCTION _rs.round(x numeric, digits int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round(x, digits)';
CREATE FUNCTION _rs.round(x float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF abs(x - trunc(x)) = 0.5 THEN
    PERFORM _rs.refuse('ROUND of a DOUBLE PRECISION value half-way between two integers', 'Round a DECIMAL: ROUND(CAST(x AS DECIMAL(p,s)))');
  END IF;
  RETURN round(x);
END $$;
CREATE FUNCTION _rs.round(x float8, digits int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF x IS NULL THEN RETURN NULL; END IF;
  IF abs(x::numeric * (10::numeric ^ digits) - trunc(x::numeric * (10::numeric ^ digits))) = 0.5 THEN
    PERFORM _rs.refuse('ROUND of a DOUBLE PRECISION value half-way between two results', 'Round a DECIMAL: ROUND(CAST(x AS DECIMAL(p,s)), n)');
  END IF;
  RETURN round(x::numeric, digits)::float8;
END $$;
CREATE FUNCTION _rs.trunc(x smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.trunc(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.trunc(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.trunc(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT trunc(x)';
CREATE FUNCTION _rs.trunc(x numeric, digits int) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT trunc(x, digits)';
CREATE FUNCTION _rs.trunc(x float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT trunc(x)';
CREATE FUNCTION _rs.trunc(x timestamp) RETURNS date LANGUAGE sql IMMUTABLE AS 'SELECT x::date';
CREATE FUNCTION _rs.ceil(x smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.ceil(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.ceil(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.ceil(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT ceil(x)';
CREATE FUNCTION _rs.ceil(x float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT ceil(x)';
CREATE FUNCTION _rs.floor(x smallint) RETURNS smallint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.floor(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.floor(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.floor(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT floor(x)';
CREATE FUNCTION _rs.floor(x float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT floor(x)';
CREATE FUNCTION _rs.sign(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT sign(x)::int';
CREATE FUNCTION _rs.sign(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT sign(x)::bigint';
CREATE FUNCTION _rs.sign(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT sign(x)';
CREATE FUNCTION _rs.sign(x float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT sign(x)';

-- What a CAST to an integer type is given: rounding is the same in both but half-way between two integers.
CREATE FUNCTION _rs.whole(x anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.whole(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.whole(x float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT _rs.round(x)';
CREATE FUNCTION _rs.whole(x numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF abs(x - trunc(x)) = 0.5 THEN
    PERFORM _rs.refuse('a CAST to an integer of a value half-way between two', 'Write ROUND, FLOOR, CEIL or TRUNC');
  END IF;
  RETURN x;
END $$;

CREATE FUNCTION _rs.middle(xs numeric[]) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE s numeric[]; n int;
BEGIN
  SELECT array_agg(x ORDER BY x) INTO s FROM unnest(xs) AS u(x) WHERE x IS NOT NULL;
  n := coalesce(array_length(s, 1), 0);
  IF n = 0 THEN RETURN NULL; END IF;
  IF n % 2 = 1 THEN RETURN s[(n + 1) / 2]; END IF;
  RETURN (s[n / 2] + s[n / 2 + 1]) * 0.5;
END $$;
CREATE AGGREGATE _rs.median(numeric) (sfunc = array_append, stype = numeric[], finalfunc = _rs.middle);
CREATE FUNCTION _rs.middle_integer(xs bigint[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT _rs.middle(xs::numeric[])';
CREATE FUNCTION _rs.append(xs bigint[], x int) RETURNS bigint[] LANGUAGE sql IMMUTABLE AS 'SELECT xs || x::bigint';
CREATE AGGREGATE _rs.median(bigint) (sfunc = array_append, stype = bigint[], finalfunc = _rs.middle_integer);
CREATE AGGREGATE _rs.median(int) (sfunc = _rs.append, stype = bigint[], finalfunc = _rs.middle_integer, initcond = '{}');
CREATE FUNCTION _rs.middle_double(xs float8[]) RETURNS float8 LANGUAGE sql IMMUTABLE AS
  'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY x) FROM unnest(xs) AS u(x)';
CREATE AGGREGATE _rs.median(float8) (sfunc = array_append, stype = float8[], finalfunc = _rs.middle_double);

-- ---- text -----------------------------------------------------------------------------------------------------------------
-- Redshift compares strings without their trailing blanks.
CREATE FUNCTION _rs.key(x anyelement) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.key(x text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT rtrim(x, ' ') $$;
-- What a pattern is matched against: whether Redshift matches the blanks of a CHAR is not documented.
CREATE FUNCTION _rs.matched(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.matched(x bpchar) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF x IS NULL THEN RETURN NULL; END IF;
  IF octet_length(x) <> octet_length(x::text) THEN
    PERFORM _rs.refuse('a pattern on a CHAR value that is padded with blanks', 'Write RTRIM(column)');
  END IF;
  RETURN x::text;
END $$;
CREATE FUNCTION _rs.left(x text, n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF n < 0 THEN PERFORM _rs.refuse('LEFT with a negative length', 'Give a length of 0 or more'); END IF;
  RETURN left(x, n);
END $$;
CREATE FUNCTION _rs.right(x text, n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF n < 0 THEN PERFORM _rs.refuse('RIGHT with a negative length', 'Give a length of 0 or more'); END IF;
  RETURN right(x, n);
END $$;
CREATE FUNCTION _rs.split_part(x text, delimiter text, n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF n < 1 THEN RAISE EXCEPTION 'field position must be greater than zero' USING ERRCODE = '22023'; END IF;
  RETURN split_part(x, delimiter, n);
END $$;
-- The first bytes of a string that make whole characters.
CREATE FUNCTION _rs.cut(x text, n int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE cut text := left(x, n);
BEGIN
  WHILE octet_length(cut) > n LOOP cut := left(cut, -1); END LOOP;
  RETURN cut;
END $$;
CREATE FUNCTION _rs.fit(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(x) > 65535 THEN RAISE EXCEPTION 'Result size exceeds LISTAGG limit' USING ERRCODE = '54000'; END IF;
  RETURN x;
END $$;
CREATE FUNCTION _rs.join(xs anyarray, separator text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN cardinality(array_remove(xs, NULL)) > 0 THEN array_to_string(array_remove(xs, NULL), separator) END $$;
CREATE FUNCTION _rs.as_text(x anyelement) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x::text';
CREATE FUNCTION _rs.as_text(x text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.as_text(x boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE EXCEPTION 'cannot cast type boolean to character varying' USING ERRCODE = '42846';
END $$;
-- What a CAST to BOOLEAN is given, if it is no literal.
CREATE FUNCTION _rs.as_boolean(x boolean) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT x';
CREATE FUNCTION _rs.as_boolean(x smallint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT x <> 0';
CREATE FUNCTION _rs.as_boolean(x int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT x <> 0';
CREATE FUNCTION _rs.as_boolean(x bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT x <> 0';
CREATE FUNCTION _rs.as_boolean(x text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RAISE EXCEPTION 'cannot cast type character varying to boolean' USING ERRCODE = '42846';
END $$;
CREATE FUNCTION _rs.as_boolean(x numeric) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM _rs.refuse('a CAST to BOOLEAN of a DECIMAL value', 'Compare it with 0');
END $$;
CREATE FUNCTION _rs.as_boolean(x float8) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM _rs.refuse('a CAST to BOOLEAN of a floating-point value', 'Compare it with 0');
END $$;
CREATE FUNCTION _rs.as_text(x float8) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF length(regexp_replace(split_part(x::text, 'e', 1), '[-.]|^-?0\.0*', '', 'g')) > 15 THEN
    PERFORM _rs.refuse('a CAST to text of a DOUBLE PRECISION value of more than 15 digits', 'Round it first');
  END IF;
  RETURN x::text;
END $$;
CREATE FUNCTION _rs.short(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(x) > 256 THEN
    PERFORM _rs.refuse('a CAST to a VARCHAR without a length of more than 256 bytes', 'Write the length: VARCHAR(n)');
  END IF;
  RETURN x;
END $$;
CREATE FUNCTION _rs.single_bytes(x text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF octet_length(x) <> length(x) THEN RAISE EXCEPTION 'CHAR string contains invalid ASCII character' USING ERRCODE = '22021'; END IF;
  RETURN x;
END $$;
CREATE FUNCTION _rs.regexp_substr(x text, pattern text, place int, occurrence int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x IS NOT NULL THEN coalesce(regexp_substr(x, pattern, place, occurrence), '') END $$;
CREATE FUNCTION _rs.strtol(x text, base int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  digits text := lower(x); is_negative boolean := false; result numeric := 0; place int;
BEGIN
  IF x IS NULL OR base IS NULL THEN RETURN NULL; END IF;
  IF base NOT BETWEEN 2 AND 36 THEN RAISE EXCEPTION 'Invalid base %', base USING ERRCODE = '22023'; END IF;
  IF left(digits, 1) IN ('-', '+') THEN is_negative := left(digits, 1) = '-'; digits := substr(digits, 2); END IF;
  IF base = 16 AND left(digits, 2) = '0x' THEN digits := substr(digits, 3); END IF;
  IF digits = '' THEN PERFORM _rs.refuse('STRTOL of a string without digits', 'Give a number'); END IF;
  FOR i IN 1 .. length(digits) LOOP
    place := strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(digits, i, 1)) - 1;
    IF place < 0 OR place >= base THEN
      RAISE EXCEPTION 'The input % is not valid to be converted to base %', x, base USING ERRCODE = '22023';
    END IF;
    result := result * base + place;
  END LOOP;
  RETURN CASE WHEN is_negative THEN -result ELSE result END;
END $$;
CREATE FUNCTION _rs.sha2(x text, bits int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE bits WHEN 0 THEN encode(sha256(convert_to(x, 'UTF8')), 'hex') WHEN 256 THEN encode(sha256(convert_to(x, 'UTF8')), 'hex')
    WHEN 224 THEN encode(sha224(convert_to(x, 'UTF8')), 'hex') WHEN 384 THEN encode(sha384(convert_to(x, 'UTF8')), 'hex')
    WHEN 512 THEN encode(sha512(convert_to(x, 'UTF8')), 'hex') ELSE '' END;
END $$;
CREATE FUNCTION _rs.is_valid_json(x text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF x IS NULL THEN RETURN NULL; END IF;
  IF x IS JSON AND NOT x IS JSON OBJECT THEN
    PERFORM _rs.refuse('IS_VALID_JSON of JSON that is not an object', 'Use IS_VALID_JSON_ARRAY for arrays');
  END IF;
  RETURN x IS JSON OBJECT;
END $$;
CREATE FUNCTION _rs.json_path(x text, silent boolean, VARIADIC path text[]) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found json;
BEGIN
  IF x IS NULL OR array_position(path, NULL) IS NOT NULL THEN RETURN NULL; END IF;
  IF NOT (x IS JSON) THEN
    IF silent THEN RETURN NULL; END IF;
    RAISE EXCEPTION 'JSON parsing error' USING ERRCODE = '22032';
  END IF;
  found := json_extract_path(x::json, VARIADIC path);
  IF json_typeof(found) = 'null' THEN RETURN NULL; END IF;
  IF json_typeof(found) IN ('object', 'array') AND found::text ~ '\s' THEN
    PERFORM _rs.refuse('JSON_EXTRACT_PATH_TEXT of an object or array that is written with blanks', 'Extract its elements');
  END IF;
  RETURN json_extract_path_text(x::json, VARIADIC path);
END $$;
CREATE FUNCTION _rs.json_element(x text, place int, silent boolean) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE found json;
BEGIN
  IF x IS NULL OR place IS NULL THEN RETURN NULL; END IF;
  IF NOT (x IS JSON ARRAY) THEN
    IF silent THEN RETURN NULL; END IF;
    RAISE EXCEPTION 'JSON parsing error' USING ERRCODE = '22032';
  END IF;
  IF place < 0 THEN RETURN NULL; END IF;
  found := x::json -> place;
  IF json_typeof(found) = 'null' THEN RETURN NULL; END IF;
  IF json_typeof(found) IN ('object', 'array') AND found::text ~ '\s' THEN
    PERFORM _rs.refuse('JSON_EXTRACT_ARRAY_ELEMENT_TEXT of an object or array that is written with blanks', 'Extract its elements');
  END IF;
  RETURN x::json ->> place;
END $$;
CREATE FUNCTION _rs.json_length(x text, silent boolean) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF x IS NULL THEN RETURN NULL; END IF;
  IF NOT (x IS JSON ARRAY) THEN
    IF silent THEN RETURN NULL; END IF;
    RAISE EXCEPTION 'JSON parsing error' USING ERRCODE = '22032';
  END IF;
  RETURN json_array_length(x::json);
END $$;

-- ---- dates ----------------------------------------------------------------------------------------------------------------
CREATE FUNCTION _rs.getdate() RETURNS timestamp LANGUAGE sql STABLE AS $$ SELECT date_trunc('second', statement_timestamp() AT TIME ZONE 'UTC') $$;
CREATE FUNCTION _rs.sysdate() RETURNS timestamp LANGUAGE sql STABLE AS $$ SELECT transaction_timestamp() AT TIME ZONE 'UTC' $$;
CREATE FUNCTION _rs.span(part text, n bigint) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE part WHEN 'year' THEN make_interval(years => n::int) WHEN 'quarter' THEN make_interval(months => 3 * n::int)
    WHEN 'month' THEN make_interval(months => n::int) WHEN 'week' THEN make_interval(days => 7 * n::int)
    WHEN 'day' THEN make_interval(days => n::int) WHEN 'hour' THEN make_interval(hours => n::int)
    WHEN 'minute' THEN make_interval(mins => n::int) WHEN 'second' THEN n * interval '1 second'
    WHEN 'millisecond' THEN n * interval '1 millisecond' WHEN 'microsecond' THEN n * interval '1 microsecond' END $$;
CREATE FUNCTION _rs.dateadd(part text, n bigint, x timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT x + _rs.span(part, n)';
CREATE FUNCTION _rs.dateadd(part text, n bigint, x timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT x + _rs.span(part, n)';
CREATE FUNCTION _rs.dateadd(part text, n bigint, x date) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT x + _rs.span(part, n)';
CREATE FUNCTION _rs.dateadd(part text, n bigint, x text) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT x::timestamp + _rs.span(part, n)';
CREATE FUNCTION _rs.datediff(part text, a timestamp, b timestamp) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE monday bigint; sunday bigint;
BEGIN
  IF part = 'week' THEN
    -- the day on which Redshift lets a week begin here is not documented: given is what is the same for Monday and Sunday
    monday := (date_trunc('week', b)::date - date_trunc('week', a)::date) / 7;
    sunday := (date_trunc('week', b + interval '1 day')::date - date_trunc('week', a + interval '1 day')::date) / 7;
    IF monday <> sunday THEN
      PERFORM _rs.refuse('DATEDIFF(week) of dates on which a week that begins on Sunday and one that begins on Monday differ', 'Count days');
    END IF;
    RETURN monday;
  END IF;
  RETURN CASE part
    WHEN 'year' THEN extract(year FROM b) - extract(year FROM a)
    WHEN 'quarter' THEN (extract(year FROM b) * 4 + extract(quarter FROM b)) - (extract(year FROM a) * 4 + extract(quarter FROM a))
    WHEN 'month' THEN (extract(year FROM b) * 12 + extract(month FROM b)) - (extract(year FROM a) * 12 + extract(month FROM a))
    WHEN 'day' THEN b::date - a::date
    WHEN 'hour' THEN extract(epoch FROM date_trunc('hour', b) - date_trunc('hour', a)) / 3600
    WHEN 'minute' THEN extract(epoch FROM date_trunc('minute', b) - date_trunc('minute', a)) / 60
    WHEN 'second' THEN extract(epoch FROM date_trunc('second', b) - date_trunc('second', a))
    WHEN 'millisecond' THEN extract(epoch FROM date_trunc('milliseconds', b) - date_trunc('milliseconds', a)) * 1000
    WHEN 'microsecond' THEN extract(epoch FROM b - a) * 1000000 END;
END $$;
CREATE FUNCTION _rs.date_trunc(part text, x timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT date_trunc(part, x)';
CREATE FUNCTION _rs.date_trunc(part text, x timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT date_trunc(part, x)';
CREATE FUNCTION _rs.date_trunc(part text, x date) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT date_trunc(part, x::timestamp)';
CREATE FUNCTION _rs.date_trunc(part text, x text) RETURNS timestamp LANGUAGE sql IMMUTABLE AS 'SELECT date_trunc(part, x::timestamp)';
CREATE FUNCTION _rs.last_day(x timestamp) RETURNS date LANGUAGE sql IMMUTABLE AS $$
  SELECT (date_trunc('month', x) + interval '1 month' - interval '1 day')::date $$;
CREATE FUNCTION _rs.add_months(x timestamp, n int) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN x::date = _rs.last_day(x) THEN _rs.last_day(x + make_interval(months => n)) + (x - date_trunc('day', x))
    ELSE x + make_interval(months => n) END $$;
CREATE FUNCTION _rs.months_between(a date, b date) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
  SELECT (extract(year FROM a) * 12 + extract(month FROM a)) - (extract(year FROM b) * 12 + extract(month FROM b))
    + CASE WHEN extract(day FROM a) = extract(day FROM b) OR (a = _rs.last_day(a) AND b = _rs.last_day(b)) THEN 0
      ELSE (extract(day FROM a)::float8 - extract(day FROM b)::float8) / 31 END $$;
CREATE FUNCTION _rs.next_day(x timestamp, day text) RETURNS date LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE wanted int := array_position(ARRAY['su', 'mo', 'tu', 'we', 'th', 'fr', 'sa'], lower(left(day, 2))) - 1; ahead int;
BEGIN
  IF x IS NULL OR day IS NULL THEN RETURN NULL; END IF;
  IF wanted IS NULL THEN RAISE EXCEPTION 'Incorrect weekday: %', day USING ERRCODE = '22023'; END IF;
  ahead := (wanted - extract(dow FROM x)::int + 6) % 7 + 1;
  RETURN x::date + ahead;
END $$;
-- A date that does not exist: Redshift goes on counting days, how far in other fields is not documented.
CREATE FUNCTION _rs.to_timestamp(x text, format text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN to_timestamp(x, format);
EXCEPTION WHEN datetime_field_overflow THEN
  PERFORM _rs.refuse('TO_DATE or TO_TIMESTAMP of a date that does not exist, such as the 31st of June,',
    'Redshift counts on into the next month: give TRUE as third argument to get an error, or correct the value');
END $$;
CREATE FUNCTION _rs.to_date(x text, format text) RETURNS date LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN to_date(x, format);
EXCEPTION WHEN datetime_field_overflow THEN
  RETURN _rs.to_timestamp(x, format)::date;
END $$;
CREATE FUNCTION _rs.convert_timezone(source text, target text, x timestamp) RETURNS timestamp LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower(source)) THEN
    PERFORM _rs.refuse('the time zone ' || source, 'Name zones such as UTC or America/New_York');
  ELSIF NOT EXISTS (SELECT FROM pg_timezone_names WHERE lower(name) = lower(target)) THEN
    PERFORM _rs.refuse('the time zone ' || target, 'Name zones such as UTC or America/New_York');
  END IF;
  RETURN x AT TIME ZONE source AT TIME ZONE target;
END $$;

-- ---- system tables and views ----------------------------------------------------------------------------------------------
CREATE TABLE _rs.table_attributes (
  oid oid PRIMARY KEY, diststyle text NOT NULL, distkey text, sortkeys text[] NOT NULL, sortstyle text, encodings jsonb NOT NULL,
  keys jsonb NOT NULL);
CREATE TABLE _rs.late_views (schema_name text, view_name text, sql text NOT NULL, PRIMARY KEY (schema_name, view_name));
CREATE TABLE _rs.external_schemas (schema_name text PRIMARY KEY, database_name text NOT NULL, role text NOT NULL);
CREATE VIEW _rs.svv_external_schemas AS SELECT n.oid::bigint AS esoid, 1 AS eskind, e.schema_name AS schemaname, e.database_name AS databasename
  FROM _rs.external_schemas e JOIN pg_namespace n ON n.nspname = e.schema_name;
CREATE TABLE _rs.load_errors (
  user_id int DEFAULT 0, query_id bigint, table_name text, start_time timestamp DEFAULT _rs.getdate(), file_name text, line_number bigint,
  column_name text, column_type text, column_length text, "position" int, error_code int, error_message text, raw_line text,
  raw_field_value text);
CREATE TABLE _rs.load_history (
  user_id int DEFAULT 0, query_id bigint, status text, table_name text, start_time timestamp, end_time timestamp, data_source text,
  file_format text, loaded_rows bigint, loaded_bytes bigint, source_file_count int, error_count bigint);
CREATE TABLE _rs.unload_history (
  user_id int DEFAULT 0, query_id bigint, file_format text, start_time timestamp, end_time timestamp, unloaded_rows bigint,
  unloaded_files_count int, unloaded_files_size bigint, file_name text);
CREATE TABLE _rs.query_history (
  user_id int DEFAULT 0, query_id bigint, transaction_id bigint, session_id int, database_name text, query_type text, status text,
  start_time timestamp, end_time timestamp, elapsed_time bigint, returned_rows bigint, error_message text, query_text text);

CREATE VIEW _rs.stl_load_errors AS SELECT user_id AS userid, table_name AS tablename, start_time AS starttime, query_id AS query,
  file_name AS filename, line_number, column_name AS colname, column_type AS type, column_length AS col_length, "position",
  raw_line, raw_field_value, error_code AS err_code, error_message AS err_reason FROM _rs.load_errors;
CREATE VIEW _rs.sys_load_error_detail AS SELECT user_id, query_id, table_name, start_time, file_name, line_number, column_name, column_type,
  column_length, "position", error_code, error_message FROM _rs.load_errors;
CREATE VIEW _rs.sys_load_history AS SELECT user_id, query_id, status, table_name, start_time, end_time, data_source, file_format, loaded_rows,
  loaded_bytes, source_file_count, error_count FROM _rs.load_history;
CREATE VIEW _rs.sys_unload_history AS SELECT user_id, query_id, file_format, start_time, end_time, unloaded_rows, unloaded_files_count,
  unloaded_files_size FROM _rs.unload_history;
CREATE VIEW _rs.sys_query_history AS SELECT * FROM _rs.query_history;

CREATE FUNCTION _rs.type_name(type oid, modifier int) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN type = 'bpchar'::regtype THEN 'character(' || modifier - 4 || ')'
    WHEN type IN ('varchar'::regtype, 'text'::regtype) THEN 'character varying(' || CASE WHEN modifier > 0 THEN modifier - 4 ELSE 65535 END || ')'
    ELSE format_type(type, modifier) END $$;
CREATE VIEW _rs.pg_table_def AS
  SELECT n.nspname::text AS schemaname, c.relname::text AS tablename, a.attname::text AS "column", _rs.type_name(a.atttypid, a.atttypmod) AS type,
    coalesce(t.encodings ->> a.attname, 'none') AS encoding, coalesce(a.attname = t.distkey, false) AS distkey,
    coalesce(array_position(t.sortkeys, a.attname::text), 0) AS sortkey, a.attnotnull AS "notnull"
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN _rs.table_attributes t ON t.oid = c.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind = 'r' AND n.nspname = ANY (current_schemas(false));
CREATE FUNCTION _rs.row_count(relation oid) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE n bigint;
BEGIN EXECUTE format('SELECT count(*) FROM %s', relation::regclass) INTO n; RETURN n; END $$;
CREATE VIEW _rs.svv_table_info AS
  SELECT current_database()::text AS database, n.nspname::text AS schema, c.oid::bigint AS table_id, c.relname::text AS "table",
    CASE WHEN t.encodings IS NULL OR t.encodings = '{}'::jsonb THEN 'N' ELSE 'Y' END AS encoded, t.diststyle,
    CASE WHEN cardinality(t.sortkeys) = 0 THEN NULL WHEN t.sortstyle = 'interleaved' THEN 'INTERLEAVED' ELSE t.sortkeys[1] END AS sortkey1,
    cardinality(t.sortkeys) AS sortkey_num, ceil(pg_total_relation_size(c.oid) / 1048576.0)::bigint AS size, _rs.row_count(c.oid) AS tbl_rows,
    _rs.row_count(c.oid) AS estimated_visible_rows, CASE WHEN cardinality(t.sortkeys) > 0 THEN 0::numeric(5, 2) END AS unsorted,
    0::numeric(5, 2) AS stats_off, CASE WHEN t.diststyle LIKE 'KEY%' THEN 1::numeric(19, 2) END AS skew_rows
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN _rs.table_attributes t ON t.oid = c.oid
  WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|_rs$|information_schema$)' AND _rs.row_count(c.oid) > 0;
CREATE VIEW _rs.svv_tables AS
  SELECT current_database()::text AS table_catalog, n.nspname::text AS table_schema, c.relname::text AS table_name,
    CASE c.relkind WHEN 'r' THEN 'BASE TABLE' ELSE 'VIEW' END AS table_type, NULL::text AS remarks
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'v', 'm') AND n.nspname !~ '^(pg_|_rs$|information_schema$)';
CREATE VIEW _rs.svv_columns AS
  SELECT current_database()::text AS table_catalog, n.nspname::text AS table_schema, c.relname::text AS table_name, a.attname::text AS column_name,
    a.attnum::int AS ordinal_position, pg_get_expr(d.adbin, d.adrelid) AS column_default, CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
    CASE WHEN a.atttypid = 'text'::regtype THEN 'character varying' ELSE format_type(a.atttypid, NULL) END AS data_type,
    CASE WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND a.atttypmod > 0 THEN a.atttypmod - 4
      WHEN a.atttypid IN ('varchar'::regtype, 'text'::regtype) THEN 65535 END AS character_maximum_length,
    CASE a.atttypid WHEN 'int2'::regtype THEN 16 WHEN 'int4'::regtype THEN 32 WHEN 'int8'::regtype THEN 64
      WHEN 'numeric'::regtype THEN CASE WHEN a.atttypmod > 0 THEN ((a.atttypmod - 4) >> 16) & 65535 ELSE 38 END END AS numeric_precision,
    CASE a.atttypid WHEN 'int2'::regtype THEN 0 WHEN 'int4'::regtype THEN 0 WHEN 'int8'::regtype THEN 0
      WHEN 'numeric'::regtype THEN CASE WHEN a.atttypmod > 0 THEN (a.atttypmod - 4) & 2047 END END AS numeric_scale
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'm') AND n.nspname !~ '^(pg_|_rs$|information_schema$)';

GRANT USAGE ON SCHEMA _rs TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA _rs TO PUBLIC;
GRANT INSERT, UPDATE, DELETE ON _rs.table_attributes, _rs.late_views, _rs.external_schemas TO PUBLIC;
