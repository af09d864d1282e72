-- Shared by the scripts that change holds; put in front of them. A hold is "sequence|status|us|bot|orders".
local HOLD = '^(%d+)|(%u+)|(%d+)|([^|]*)|(.*)$'

-- A hold and its orders; nothing where another version of the guard wrote it and it cannot be read here: one such hold
-- must not keep an account from being published. It stays as it is, and counts, until it is proven to be over.
local function read_hold(id, text)
  local sequence, status, at, bot, body = string.match(text, HOLD)
  if not sequence or string.sub(body, 1, 1) ~= '[' then return nil end
  local is_read, orders = pcall(cjson.decode, body)
  if not is_read then return nil end
  for _, order in ipairs(orders) do
    if type(order) ~= 'table' then return nil end
  end
  return {id = id, sequence = sequence, status = status, at = at, bot = bot, orders = orders, changed = false}
end

-- An order as one text, whatever the order of its fields and whatever scripts have read and written it again.
local function fingerprint(value)
  if type(value) ~= 'table' then return value == cjson.null and '' or tostring(value) end
  local names = {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names)
  local parts = {}
  for i, name in ipairs(names) do
    local text = fingerprint(value[name])
    if text ~= '' then parts[#parts + 1] = name .. '=' .. text end
  end
  return table.concat(parts, ';')
end

-- The hold with these orders left; without any it is gone.
local function put_hold(key, id, hold, orders)
  if #orders == 0 then
    redis.call('HDEL', key, id)
  else
    -- Names are looked for in the text as they are; cjson would put a backslash before each slash.
    local body = string.gsub(cjson.encode(orders), '\\/', '/')
    local kept = {hold.sequence, hold.status, hold.at, hold.bot, body}
    redis.call('HSET', key, id, table.concat(kept, '|'))
  end
end

-- Decimal texts of one number may differ in zeros and exponents.
local function same(a, b)
  return a == b or (a ~= cjson.null and b ~= cjson.null and tonumber(a) == tonumber(b))
end

local function is_taken(order, taken)
  return order.client_order_id == taken.client_order_id and order.symbol == taken.symbol
    and order.side == taken.side and order.conditional == taken.conditional and order.client_order_id ~= ''
    and (order.replaces == nil or order.replaces == cjson.null)
end

local function amends(order, id)
  local asked = order.amendment
  return order.replaces == id or (type(asked) == 'table' and asked.order_id == id)
end

local function is_amended(order, change)
  local asked = order.amendment
  return type(asked) == 'table' and order.symbol == change.symbol
    and (amends(order, change.order_id) or asked.client_order_id == change.client_order_id)
    and same(asked.quantity, change.quantity) and (asked.price == cjson.null or same(asked.price, change.price))
end

-- Takes out of the holds what has become an order, or can change nothing any more, whatever a hold's status: an event
-- may overtake the gate's word. Each event takes one held order, the oldest. Returns for each of `taken` 1 or 0.
local function convert(key, text)
  local told = cjson.decode(text)
  local wanted = {}
  for _, each in ipairs(told.taken) do wanted[#wanted + 1] = '"' .. each.client_order_id .. '"' end
  for _, each in ipairs(told.amended) do
    wanted[#wanted + 1] = '"' .. each.order_id .. '"'
    wanted[#wanted + 1] = '"' .. each.client_order_id .. '"'
  end
  for _, each in ipairs(told.ended) do wanted[#wanted + 1] = '"' .. each.order_id .. '"' end
  local holds = {}
  if #wanted > 0 then
    local all = redis.call('HGETALL', key)
    for i = 1, #all, 2 do
      for _, name in ipairs(wanted) do
        if string.find(all[i + 1], name, 1, true) then
          holds[#holds + 1] = read_hold(all[i], all[i + 1])
          break
        end
      end
    end
    table.sort(holds, function(a, b) return tonumber(a.sequence) < tonumber(b.sequence) end)
  end
  local function take(matches, subject, every)
    for _, hold in ipairs(holds) do
      for i = #hold.orders, 1, -1 do
        if matches(hold.orders[i], subject) then
          table.remove(hold.orders, i)
          hold.changed = true
          if not every then return 1 end
        end
      end
    end
    return 0
  end
  local matched = {}
  for i, each in ipairs(told.taken) do matched[i] = take(is_taken, each, false) end
  for _, each in ipairs(told.amended) do take(is_amended, each, false) end
  local function is_over(order, ended) return order.symbol == ended.symbol and amends(order, ended.order_id) end
  for _, each in ipairs(told.ended) do take(is_over, each, true) end
  for _, hold in ipairs(holds) do
    if hold.changed then put_hold(key, hold.id, hold, hold.orders) end
  end
  return matched
end
